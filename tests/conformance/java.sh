# packages: default-jdk-headless
# output: /^OpenJDK 64-Bit Server VM warning/d
cat > A.java <<'END'
import java.util.*; import java.util.stream.*; import java.util.zip.*;
public class A {
  public static void main(String[] arguments) throws Exception {
    var map = new TreeMap<String, Integer>();
    for (int i = 0; i < 200000; i++) map.merge("k" + i % 1000, i, Integer::sum);
    System.out.println(map.firstEntry() + " " + map.size());
    var crc = new CRC32(); crc.update(new byte[1 << 20]); System.out.println(crc.getValue());
    System.out.println(IntStream.range(0, 100000).parallel().mapToLong(i -> i * i % 7).sum());
    var threads = new ArrayList<Thread>();
    for (int i = 0; i < 50; i++) { var t = new Thread(() -> new Deflater().end()); threads.add(t); t.start(); }
    for (var t : threads) t.join();
    for (int i = 0; i < 20; i++) { byte[][] garbage = new byte[100][100000]; if (garbage[5][5] != 0) return; }
    System.exit(3);
  }
}
END
javac A.java && java -Xmx64m -cp . A; echo $?; jar cf a.jar A.class && jar tf a.jar
