// A MongoDB server for the tests of `store: { type: mongodb }`, around mongo-java-server.
//
//   java -cp 'build/mongo-java-server/*:build/mongo-java-server' TestServer PORT [--file FILE] [--oplog]
//
// PORT 0 takes a free one; "ready PORT" on standard output says that it listens. Without --file everything is in memory.
// With it an answer leaves only when its change is in the file (not synchronised: it is to survive kill -9, no power cut),
// as write concern majority with journal promises. --oplog: change streams, and it calls itself a replica set; without, it
// answers $changeStream with an error, as a standalone server does. It ends when its standard input does.
import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.util.Set;
import org.h2.mvstore.MVStore;

public final class TestServer {
	private static final Set<String> WRITES = Set.of("insert", "update", "delete", "findAndModify", "findandmodify",
		"drop", "dropDatabase", "create", "createIndexes", "renameCollection");

	/** Commits before it answers. */
	private static final class JournaledBackend extends H2Backend {
		JournaledBackend(String file) {
			super(new MVStore.Builder().fileName(file).autoCommitDisabled().open());
		}

		@Override
		public Document handleMessage(MongoMessage message) {
			Document answer = super.handleMessage(message);
			if (WRITES.contains(message.getDocument().keySet().iterator().next())) {
				commit();
			}
			return answer;
		}
	}

	public static void main(String[] args) throws Exception {
		int port = Integer.parseInt(args[0]);
		String file = null;
		boolean oplog = false;
		for (int i = 1; i < args.length; i++) {
			switch (args[i]) {
			case "--file" -> file = args[++i];
			case "--oplog" -> oplog = true;
			default -> throw new IllegalArgumentException(args[i]);
			}
		}
		MongoBackend backend = file == null ? new MemoryBackend() : new JournaledBackend(file);
		MongoServer server = new MongoServer(backend);
		if (oplog) {
			server.enableOplog();
		}
		server.bind("127.0.0.1", port);
		System.out.println("ready " + server.getLocalAddress().getPort());
		while (System.in.read() >= 0) {
		}
		server.shutdownNow();
		System.exit(0);
	}
}
