"""Virtual machines for tests that need a kernel with SCTP, which many machines that build and test don't have.

    run = uml(["tests/e2e/sctp_guest.py"], env={...})      # user-mode Linux: starts in a second, one processor
    run = qemu(["tests/e2e/mme_guest.py"], env={...})      # a whole PC, emulated: what user-mode Linux is too odd for
    run.returncode, run.stdout, run.files["all.pcap"]      # what the guest left in $VM_RW under that name

In both the guest's / is the host's, read only, so that it has every program and every file of this repository at the
same path; what it writes is in /run, or in $VM_RW, a directory of the host. It needs neither root nor KVM. What is
missing (a package, a kernel that can't be fetched) raises Missing, which says what: such a test fails.
"""
import ctypes
import fcntl
import glob
import lzma
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.append(os.path.join(ROOT, "tests", "e2e"))
import hss  # noqa: E402

CACHE = os.path.join(ROOT, "build", "vm")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a kernel has built in is not there, and is left out. Which needs which is for the modules to say: it changes.
SCTP_MODULES = ("crc32c_generic", "libcrc32c", "crc-ccitt", "ipv6", "md5", "hmac", "udp_tunnel", "ip6_udp_tunnel", "sctp")
SHARE_MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "9pnet",
                 "9pnet_virtio", "netfs", "fscache", "9p")


class Missing(AssertionError):
    pass


def in_order(paths):
    """The names of {name: path} so that each module comes behind those that it depends on."""
    plain = {name.replace("-", "_"): name for name in paths}
    done = []

    def take(name):
        if name in done:
            return
        with open(paths[name], "rb") as f:
            depends = re.search(rb"\0depends=([^\0]*)\0", f.read())
        for other in (depends[1].decode().split(",") if depends and depends[1] else []):
            if other.replace("-", "_") not in plain:
                raise Missing(f"the kernel's module {name} needs {other}, which is not in the list of modules in {__file__}")
            take(plain[other.replace("-", "_")])
        done.append(name)
    for name in paths:
        take(name)
    return done


def program(name, package):
    found = shutil.which(name, path=PATH)
    if not found:
        raise Missing(f"{name} is not installed (package {package}): run tools/install-packages test")
    return found


def compile_init(directory):
    path = os.path.join(directory, "init")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    subprocess.run([compiler, "-static", "-O1", "-Wall", "-o", path, os.path.join(HERE, "init.c")], check=True)
    return path


def write_script(directory, argv, env):
    path = os.path.join(directory, "run.sh")
    env = {"PATH": PATH, "HOME": "/run", "TMPDIR": "/run", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
           "VM_RW": directory, **env}
    with open(path, "w") as f:
        f.write("#!/bin/sh\n")
        for key, value in env.items():
            f.write(f"export {key}={shlex.quote(value)}\n")
        f.write(f"cd {shlex.quote(ROOT)} && exec {shlex.join(argv)}\n")
    os.chmod(path, 0o755)
    return path


def run(command, directory, fetch, timeout):
    """The machine until it powers itself off. Its exit status is that of the program in it; 255: it didn't end."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            out += f"\nvm: not within {timeout} s".encode()
    lines = out.decode(errors="replace").replace("\r", "").splitlines()
    status = [line for line in lines if line.startswith("VM_EXIT=")]
    text = "\n".join(line for line in lines if not line.startswith("VM_EXIT="))
    done = subprocess.CompletedProcess(command, int(status[-1][8:]) if status else 255, text, None)
    done.files = {}
    for name in fetch:
        path = os.path.join(directory, name)
        if os.path.exists(path):
            with open(path, "rb") as f:
                done.files[name] = f.read()
    return done


def uml_modules():
    """{name: path} of the modules of the installed user-mode Linux."""
    found = sorted(glob.glob("/usr/lib/uml/modules/*/kernel"))
    if not found:
        raise Missing("no modules in /usr/lib/uml (package user-mode-linux): run tools/install-packages test")
    return {os.path.basename(path)[:-3]: path for path in glob.glob(found[-1] + "/**/*.ko", recursive=True)}


def machine_directory():
    """$VM_RW. Not in $TMPDIR, which may be below /dev: there a guest has a file system of its own."""
    return tempfile.TemporaryDirectory(prefix="hss-vm-", dir="/tmp")


def uml(argv, env=None, files=None, fetch=(), timeout=80):
    """Runs argv in user-mode Linux. No module is loaded yet: the guest calls load_sctp. files: {name: content} for VM_RW."""
    kernel = program("linux.uml", "user-mode-linux")
    uml_modules()
    with machine_directory() as directory:
        copy(files, directory)
        script = write_script(directory, argv, env or {})
        return run([kernel, "mem=1G", f"uml_dir={directory}/uml", "umid=vm", "rootfstype=hostfs", "rootflags=/", "ro",
                    f"init={compile_init(directory)}", "quiet", "con=null", "con0=null,fd:1", "con1=null",
                    f"VM_RW={directory}", f"VM_RUN={script}"], directory, fetch, timeout)


def copy(files, directory):
    for name, content in (files or {}).items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(content)


def load_sctp():
    """In the guest: from now on the kernel has SCTP."""
    if os.path.exists("/proc/net/sctp"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    modules = uml_modules()
    for name in in_order({name: modules[name] for name in SCTP_MODULES if name in modules}):
        with open(modules[name], "rb") as f:
            if libc.syscall(313, f.fileno(), b"", 0) < 0 and ctypes.get_errno() != 17:  # finit_module; EEXIST
                raise OSError(ctypes.get_errno(), f"{modules[name]}: {os.strerror(ctypes.get_errno())}")


# --- QEMU

def kernel_package():
    text = subprocess.run(["apt-cache", "depends", "--no-recommends", "linux-image-amd64"], capture_output=True, text=True,
                          check=False).stdout
    names = [word for word in text.split() if word.startswith("linux-image-") and word[12].isdigit()]
    if not names:
        raise Missing("apt knows no linux-image-amd64: run apt-get update")
    return names[0]


def unpack(package, directory):
    """The kernel and the modules that are needed, out of a downloaded package that is not installed."""
    wanted = {name + end for name in SHARE_MODULES + SCTP_MODULES for end in (".ko", ".ko.xz")}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as source, \
            tarfile.open(fileobj=source.stdout, mode="r|") as tar:
        for member in tar:
            base = os.path.basename(member.name)
            if not member.isfile() or not (base in wanted or base.startswith("vmlinuz-")):
                continue
            content = tar.extractfile(member).read()
            if base.endswith(".xz"):
                base, content = base[:-3], lzma.decompress(content)
            copy({"vmlinuz" if base.startswith("vmlinuz-") else base: content}, directory)


def kernel():
    """The directory with vmlinuz and modules of Debian's kernel; fetched once, kept under build/vm."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        have = sorted(glob.glob(os.path.join(CACHE, "linux-image-*", "vmlinuz")))
        if have:
            return os.path.dirname(have[-1])
        package = kernel_package()
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            os.chmod(work, 0o777)  # apt downloads as a user of its own
            got = subprocess.run(["apt-get", "download", "-q", package], cwd=work, capture_output=True, text=True, check=False)
            files = glob.glob(os.path.join(work, "*.deb"))
            if got.returncode or not files:
                raise Missing(f"the package {package} can't be fetched (apt-get download): {got.stderr.strip()}")
            done = os.path.join(work, "done")
            os.mkdir(done)
            unpack(files[0], done)
            target = os.path.join(CACHE, package)
            os.rename(done, target)
            return target


def cpio(entries):
    """An initramfs of (name, mode, content)."""
    out = b""
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
    return out


def initramfs(init, boot, modules):
    entries = [(name, 0o40755, b"") for name in ("dev", "proc", "sys", "run", "host", "modules")]
    for name, path, mode in [("init", init, 0o100755)] + [
            (f"modules/{m}.ko", os.path.join(boot, m + ".ko"), 0o100644) for m in modules]:
        with open(path, "rb") as f:
            entries.append((name, mode, f.read()))
    return cpio(entries)


def qemu(argv, env=None, files=None, fetch=(), timeout=110, processors=2):
    """Runs argv in QEMU without KVM, with Debian's kernel, SCTP loaded."""
    emulator = program("qemu-system-x86_64", "qemu-system-x86")
    boot = kernel()
    paths = {m: os.path.join(boot, m + ".ko") for m in SHARE_MODULES + SCTP_MODULES}
    modules = in_order({m: path for m, path in paths.items() if os.path.exists(path)})
    with machine_directory() as directory:
        copy(files, directory)
        script = write_script(directory, argv, env or {})
        copy({"initramfs": initramfs(compile_init(directory), boot, modules)}, directory)
        share = "local,security_model=none,multidevs=remap"
        return run([emulator, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-smp", str(processors),
                    "-nodefaults", "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot",
                    "-fsdev", f"{share},id=root,path=/,readonly=on", "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
                    "-fsdev", f"local,security_model=none,id=rw,path={directory}",
                    "-device", "virtio-9p-pci,fsdev=rw,mount_tag=rw",
                    "-kernel", os.path.join(boot, "vmlinuz"), "-initrd", os.path.join(directory, "initramfs"),
                    "-append", f"console=ttyS0 quiet panic=-1 VM_ROOT=9p VM_RW={directory} VM_RUN={script} "
                               f"VM_MODULES=/modules:{','.join(m + '.ko' for m in modules)}"], directory, fetch, timeout)


def release_bin():
    """Programs that run in a guest: without sanitizers, whose shadow memory user-mode Linux has no room for."""
    for path in (os.environ.get("HSS_RELEASE_BIN"), os.environ.get("HSS_BIN"), os.path.join(ROOT, "build", "release", "bin")):
        if path and os.access(os.path.join(path, "hssd"), os.X_OK) and not hss.sanitized(path):
            return path
    raise Missing("no hssd that was built without sanitizers: cmake --preset release && cmake --build --preset release, or "
                  "set HSS_RELEASE_BIN")


if __name__ == "__main__":  # vm.py uml|qemu PROGRAM...: for finding out
    done = {"uml": uml, "qemu": qemu}[sys.argv[1]](sys.argv[2:], env={"HSS_BIN": release_bin()})
    print(done.stdout)
    sys.exit(done.returncode)
