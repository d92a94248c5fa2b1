import assert from "node:assert/strict";
import { PACKAGES_HOST } from "./packages.ts";
import { exec, page, prints, type Workload } from "./workload.ts";

/** Writes a class and its test. */
const JAVA_PROJECT = `mkdir -p src/main/java src/test/java
  echo 'public class A { public static int f() { return 42; } }' > src/main/java/A.java
  echo 'public class ATest { @org.junit.Test public void a() { org.junit.Assert.assertEquals(42, A.f()); } }' > src/test/java/ATest.java`;

export const LANGUAGES: Workload[] = [
  {
    name: "Java",
    version: "javac --version",
    packages: ["default-jdk-headless"],
    tried: "A program is compiled; it computes a digest, makes TLS's context and starts a thread",
    limits:
      "Java reads no proxy from the environment: `java $JAVA_OPTS` gives it that of the network policy.",
    run: prints(
      `cat > P.java <<'END'
class P {
  public static void main(String[] a) throws Exception {
    java.security.MessageDigest.getInstance("SHA-256");
    javax.net.ssl.SSLContext.getDefault();
    Thread t = new Thread(() -> System.out.println("from a thread"));
    t.start(); t.join();
  }
}
END
       javac P.java && java P`,
      "from a thread",
    ),
  },
  {
    name: "Maven",
    version:
      "mvn --version | grep -o 'Apache Maven [0-9.]*' && ls -d /usr/share/maven-repo/junit/junit > log",
    packages: ["maven", "maven-debian-helper", "junit4", "libsurefire-java"],
    tried:
      "A project is built and tested; its plugins and JUnit come from a repository behind the outbound policy",
    run: prints(
      `${JAVA_PROJECT}
       mkdir ~/.m2; cat > ~/.m2/settings.xml <<END
<settings><mirrors><mirror><id>debian</id><url>http://${PACKAGES_HOST}:$PACKAGES_PORT</url><mirrorOf>*</mirrorOf></mirror></mirrors></settings>
END
       cat > pom.xml <<'END'
<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>app</artifactId><version>1</version>
<properties><maven.compiler.source>8</maven.compiler.source><maven.compiler.target>8</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies>
</project>
END
       mvn -B package > log 2>&1 || { tail -40 log; exit 1; }
       grep -o 'Tests run: 1, Failures: 0' log | head -1; ls target/*.jar`,
      "Tests run: 1, Failures: 0\ntarget/app-1.jar",
    ),
  },
  {
    name: "Gradle",
    version: "gradle --version | grep '^Gradle' && ls -d /usr/share/maven-repo/junit/junit > log",
    packages: ["gradle", "junit4"],
    tried: "A project is built and tested; JUnit comes from a repository behind the outbound policy",
    run: prints(
      `${JAVA_PROJECT}
       cat > build.gradle <<END
apply plugin: 'java'
repositories { maven { url 'http://${PACKAGES_HOST}:$PACKAGES_PORT' } }
dependencies { testCompile 'junit:junit:4.x' }
END
       gradle build > log 2>&1 || { tail -40 log; exit 1; }
       grep -o 'tests="1" skipped="0" failures="0"' build/test-results/test/*.xml; ls build/libs`,
      'tests="1" skipped="0" failures="0"\nworkspace.jar',
    ),
  },
  {
    name: "Go",
    version: "go version",
    packages: ["golang-go"],
    tried: "`go test`, `go install`: the program is in PATH",
    run: prints(
      `go mod init app 2> log; printf 'package main\\nfunc main() { c := make(chan string); go func() { c <- "from go" }(); println(<-c) }' > main.go
       printf 'package main\\nimport "testing"\\nfunc TestA(t *testing.T) {}\\n' > a_test.go
       go test ./... 2>> log | cut -f1; go install . && app 2>&1`,
      /^ok\s*\nfrom go$/,
    ),
  },
  {
    name: "Rust",
    version: "cargo --version",
    packages: ["cargo", "rustc"],
    tried: "`cargo test`, `cargo install --path`: the program is in PATH",
    run: prints(
      `cargo new --quiet app 2> log && cd app && printf 'fn main() { std::thread::spawn(|| println!("from rust")).join().unwrap() }\\n#[test] fn a() {}\\n' > src/main.rs
       cargo test --quiet --offline 2>&1 | grep -o '1 passed'; cargo install --quiet --offline --path . 2>> log; app`,
      "1 passed\nfrom rust",
    ),
  },
  {
    name: "C#, by Mono",
    version: "mcs --version",
    packages: ["mono-mcs", "mono-runtime"],
    tried: "A program is compiled and run",
    limits: "The SDK of .NET is not among Debian's packages and was not tried.",
    run: prints(
      `echo 'class A { static void Main() { System.Console.WriteLine(string.Join(",", new int[] { 6, 7 })); } }' > a.cs
       mcs a.cs && mono a.exe`,
      "6,7",
    ),
  },
  {
    name: "PHP",
    version: "php --version | head -1",
    packages: ["php-cli"],
    tried: "A script, and the built-in server",
    async run(vm) {
      await vm.writeFile("/workspace/index.php", '<?php echo json_encode(["from" => "php"]);');
      assert.equal(await exec(vm, "php index.php"), '{"from":"php"}');
      await vm.spawn("php", ["-S", "127.0.0.1:8000"], { cwd: "/workspace" });
      assert.equal(await page(vm, 8000), '{"from":"php"}');
    },
  },
  {
    name: "Ruby",
    version: "ruby --version",
    packages: ["ruby"],
    tried: "`gem build` and `gem install` of a local gem: its program is in PATH",
    run: prints(
      `mkdir bin && printf '#!/usr/bin/env ruby\\nputs "from a gem"\\n' > bin/tiny && chmod +x bin/tiny
       echo 'Gem::Specification.new { |s| s.name = "tiny"; s.version = "1"; s.summary = "s"; s.authors = ["a"]; s.files = ["bin/tiny"]; s.executables = ["tiny"] }' > tiny.gemspec
       gem build tiny.gemspec > log 2>&1 && gem install --local tiny-1.gem >> log 2>&1; tiny`,
      "from a gem",
    ),
  },
  {
    name: "Perl",
    version: "perl -e 'print $^V'",
    packages: ["perl"],
    tried: "`prove` reports a test; a module of the host",
    run: prints(
      `mkdir t && printf 'use Test::More tests => 1; use JSON::PP; is(encode_json([1]), "[1]");' > t/a.t; prove t | tail -1`,
      "Result: PASS",
    ),
  },
  {
    name: "R",
    version: "Rscript --version",
    packages: ["r-base-core"],
    tried: "A regression, and a picture",
    run: prints(
      `Rscript -e 'cat(round(coef(lm(y ~ x, data.frame(x = 1:3, y = c(2, 4, 6))))[["x"]]), "\\n"); png("a.png"); plot(1:3); invisible(dev.off())'
       file -b a.png | cut -d, -f1`,
      /^2\s*\nPNG image data$/,
    ),
  },
  {
    name: "Elixir, Erlang",
    version: "elixir --version | tail -1",
    packages: ["elixir", "erlang-base"],
    tried: "A script that sends messages between processes",
    run: prints(
      `elixir -e 'me = self(); spawn(fn -> send(me, "from elixir") end); receive do m -> IO.puts(m) end'`,
      "from elixir",
    ),
  },
];
