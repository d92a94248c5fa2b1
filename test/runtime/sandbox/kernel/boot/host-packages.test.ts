// @module-tag any-user
import { spawnSync } from "node:child_process";
import { realpathSync } from "node:fs";
import { expect, test } from "vitest";
import { fileVm } from "../../../../support/vm.ts";

const machine = fileVm();

/** Where a VM has something of its own, or nothing for a reason of the table. */
const OWN =
  /^\/etc\/(alternatives\/.*\.old|environment|localtime|mono\/certstore|mtab|resolv\.conf|ssl\/private|R\/(Renviron|Rprofile)\.site|sysctl.*|systemd.*|nologin)/;

test("every link of /usr into /etc leads somewhere in a VM too", async () => {
  const { stdout: listed } = spawnSync(
    "find",
    ["/usr", "-xdev", "-type", "l", "(", "-lname", "/etc/*", "-o", "-lname", "*../etc/*", ")", "-print0"],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const list = `while IFS= read -r -d '' path; do [ ! -r "$path" ] || echo "$path"; done`;
  await machine().vm.writeFile("/tmp/links", listed);
  const { stdout } = await machine().vm.exec(`exec < /tmp/links; ${list}`);
  const inside = new Set(stdout.split("\n"));
  const { stdout: host } = spawnSync("bash", ["-c", list], { input: listed, encoding: "utf8" });
  const missing = host.split("\n").filter((path) => path !== "" && !inside.has(path));
  expect(missing.map((path) => realpathSync(path)).filter((target) => !OWN.test(target))).toEqual([]);
});

/** Programs of packages that keep files in /etc, and output that shows that they found them. */
const PROGRAMS: [program: string, line: string, output: RegExp][] = [
  ["fc-match", "fc-match sans-serif; fc-match monospace", /^(?!.*(Math|error)).*\n.*Mono/],
  ["vim", `vim -es -u /dev/null -c 'echo "x"' -c 'qa!'; vim --version | head -1`, /^VIM/m],
  ["perl", "perl -MNet::Config -e 'print exists $NetConfig{smtp_hosts} ? 1 : 0'", /^1$/],
  [
    "javac",
    'echo \'class A { public static void main(String[] a) throws Exception { java.security.MessageDigest.getInstance("MD5"); javax.net.ssl.SSLContext.getDefault(); System.out.println("ok"); } }\' > A.java; javac A.java && java A',
    /^ok\n$/,
  ],
  ["mvn", "mvn -v", /Apache Maven \d/],
  ["man", "MANPAGER=cat man -P cat ls | head -3", /LS\(1\)/],
  ["groff", "echo '.TH A 1' | groff -man -Tascii | head -1", /A\(1\)/],
  ["convert", "convert -size 40x20 xc:white -pointsize 10 label:hi -append a.png && identify a.png", /PNG/],
  ["gs", "gs -q -dNODISPLAY -dBATCH -c '/Helvetica findfont /FontName get = quit'", /NimbusSans|Helvetica/],
  [
    "Xvfb",
    "Xvfb :7 -nolisten tcp >log 2>&1 & for i in $(seq 100); do xdpyinfo -display :7 >info 2>&1 && break; sleep 0.1; done; grep version: info; kill %1",
    /version:/,
  ],
  ["R", "R --no-echo --no-save -e 'cat(getRversion() > 3, capabilities(\"cairo\"))'", /TRUE/],
  ["php", "php -m; php -r 'session_start(); echo session_status();'", /\btokenizer\b[\s\S]*2$/],
  ["mono", "mono --version", /Mono JIT/],
  ["octave-cli", "octave-cli --no-gui --eval 'disp(1+1)'", /^2\n/],
  [
    "tex",
    "echo '\\bye' > a.tex; tex -interaction=batchmode a.tex; cat a.log",
    /No pages of output|Output written/,
  ],
  ["emacs", "emacs --batch --eval '(message \"%s\" (+ 1 1))' 2>&1", /^2$/m],
  ["lynx", "echo '<p>hello' > a.html; lynx -dump a.html", /hello/],
  [
    "psql",
    "PATH=$(ls -d /usr/lib/postgresql/*/bin):$PATH; initdb -D d >log 2>&1; pg_ctl -D d -l log -w start >>log; psql -tAc 'select 42' postgres; pg_ctl -D d -m fast stop >>log",
    /^42$/m,
  ],
  ["sbcl", "sbcl --noinform --eval '(progn (print 42) (quit))'", /42/],
  ["gdb", "gdb -batch -ex 'print 6*7'", /42/],
  [
    "python3",
    `python3 -c 'import importlib.util as u; print(not u.find_spec("matplotlib") or __import__("matplotlib").matplotlib_fname())'`,
    /^True$|matplotlibrc/m,
  ],
  [
    "python3",
    "python3 -c 'import sitecustomize, ssl; print(len(ssl.create_default_context().get_ca_certs()) > 9)'",
    /True/,
  ],
  ["groovy", "groovy -e 'println 6 * 7'", /^42$/m],
  ["soffice", "echo hello > a.txt; soffice --headless --convert-to pdf a.txt >log 2>&1; ls a.pdf", /a\.pdf/],
  [
    "nginx",
    "printf 'pid /tmp/n.pid; events {} http { include /etc/nginx/mime.types; access_log off; server { listen 8099; } }' > n.conf; nginx -t -c $PWD/n.conf 2>&1",
    /syntax is ok/,
  ],
  [
    "chromium",
    "chromium --headless --no-sandbox --disable-gpu --screenshot=$PWD/c.png 'data:text/html,<h1>hi</h1>' 2>&1; ls -s c.png",
    /c\.png/,
  ],
];

/** Programs of packages only. A program in /usr/local may be another one of the same name. */
const HOST_PATH = { PATH: "/usr/sbin:/usr/bin" };

for (const [index, [program, line, output]] of PROGRAMS.entries()) {
  const tags = index < 3 ? [] : ["slow"];
  test(`${program} finds its files of /etc`, { tags }, async ({ skip }) => {
    const { status } = spawnSync("sh", ["-c", `command -v ${program}`], { env: HOST_PATH });
    skip(status !== 0, `the host has no ${program}`);
    const inFolder = `cd "$(mktemp -d)" && ${line}`;
    const { stdout, stderr } = await machine().vm.exec(inFolder, { env: HOST_PATH, timeout: 120_000 });
    expect([stdout, stderr]).toEqual([expect.stringMatching(output), expect.not.stringMatching(/\/etc\//)]);
  });
}
