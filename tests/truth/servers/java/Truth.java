import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The endpoints on the JDK's own HTTP server, with four threads. What is kept is memory outside Java's heap, which malloc
 * gives: its size tells the endpoints apart, because no native frame does. The methods have the names that the servers in
 * other languages give them.
 */
public class Truth {
    static final List<ByteBuffer> kept = Collections.synchronizedList(new ArrayList<>());
    static final ByteBuffer[] ring = new ByteBuffer[16];
    static int turns;
    static final Map<String, AtomicInteger> counts = new TreeMap<>();

    static {
        for (String kind : "clean leak status tenth bounded warm shared-a shared-b background".split(" ")) {
            counts.put(kind, new AtomicInteger());
        }
    }

    static void use_clean() {
        List<ByteBuffer> dropped = new ArrayList<>();
        for (int i = 0; i < 50; i++) dropped.add(ByteBuffer.allocateDirect(5000));
    }

    static void keep_leak() {
        for (int i = 0; i < 50; i++) kept.add(ByteBuffer.allocateDirect(5200));
    }

    static void keep_status() {
        for (int i = 0; i < 50; i++) kept.add(ByteBuffer.allocateDirect(5400));
    }

    static void keep_tenth() {
        for (int i = 0; i < 50; i++) kept.add(ByteBuffer.allocateDirect(5600));
    }

    /** True where the entry was empty. */
    static boolean keep_bounded() {
        ByteBuffer entry = ByteBuffer.allocateDirect(5800);
        synchronized (ring) {
            ring[turns % 16] = entry;
            return turns++ < 16;
        }
    }

    static void keep_warm() {
        kept.add(ByteBuffer.allocateDirect(6000));
    }

    static void keep_shared(int objects) {
        for (int i = 0; i < objects; i++) kept.add(ByteBuffer.allocateDirect(6200));
    }

    static void keep_background() {
        kept.add(ByteBuffer.allocateDirect(6400));
    }

    /** Does what request n of an endpoint does, and counts what it keeps. Both follow from the endpoint and n alone. */
    static void act(String kind, int n) {
        int objects = 0;
        switch (kind) {
            case "clean" -> use_clean();
            case "leak" -> {
                keep_leak();
                objects = 50;
            }
            case "status" -> {
                if (n % 4 == 3) {
                    keep_status();
                    objects = 50;
                }
            }
            case "tenth" -> {
                if (n % 10 == 0) {
                    keep_tenth();
                    objects = 50;
                }
            }
            case "bounded" -> objects = keep_bounded() ? 1 : 0;
            case "warm" -> {
                if (n < 5) {
                    keep_warm();
                    objects = 1;
                }
            }
            case "shared-a", "shared-b" -> {
                objects = kind.equals("shared-a") ? 25 : 50;
                // The only call, so that no frame tells the two endpoints apart.
                keep_shared(objects);
            }
            default -> throw new IllegalArgumentException(kind);
        }
        counts.get(kind).addAndGet(objects);
    }

    static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    static void serve(HttpExchange exchange) throws IOException {
        String[] path = exchange.getRequestURI().getPath().split("/");
        int status = 200;
        String body;
        if (path[1].equals("truth")) {
            List<String> fields = new ArrayList<>();
            counts.forEach((kind, objects) -> fields.add("\"" + kind + "\": " + objects));
            body = "{" + String.join(", ", fields) + "}";
        } else {
            int n = Integer.parseInt(path[2]);
            // Waits before and after, as for a database, so that other threads serve meanwhile.
            pause(1 + n % 2);
            act(path[1], n);
            pause(1 + (n + 1) % 2);
            if (path[1].equals("status") && n % 4 == 3) status = 500;
            body = path[1] + " " + n + "\n";
        }
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        // The head and the body are two writes: without this the second waits for the client's acknowledgement.
        System.setProperty("sun.net.httpserver.nodelay", "true");
        int port = Integer.parseInt(arguments[0]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Truth::serve);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
        while (true) {
            keep_background();
            counts.get("background").incrementAndGet();
            pause(10);
        }
    }
}
