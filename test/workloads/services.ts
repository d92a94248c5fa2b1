import { prints, type Workload } from "./workload.ts";

const PAGE = `'data:text/html,<p id=x></p><script>x.textContent = "from " + "script"</script>'`;

export const SERVICES: Workload[] = [
  {
    name: "PostgreSQL",
    version: "ls -d /usr/lib/postgresql/*/bin/initdb > log && psql --version",
    packages: ["postgresql"],
    tried: "A cluster of the VM's user: a row, a parallel query, a restart after SIGKILL",
    run: prints(
      `export PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -1):$PATH PGHOST=/tmp PGPORT=5433 PGUSER=u PGDATABASE=postgres
       start() { pg_ctl -D data -o '-k /tmp -p 5433' -w -l log start > out || cat log out; }
       initdb -D data -U u > out 2>&1; start
       psql -qtAc "create table t as select generate_series(1, 100000) n; set force_parallel_mode = on; select sum(n) from t"
       kill -9 $(head -1 data/postmaster.pid); while pg_isready -q; do sleep 0.1; done; sleep 1; start
       psql -qtAc 'select count(*) from t'; pg_ctl -D data -m fast stop > out`,
      "5000050000\n100000",
    ),
  },
  {
    name: "MariaDB",
    version: "mariadbd --version",
    packages: ["mariadb-server"],
    tried: "A data folder of the VM's user: a table of InnoDB and a row",
    run: prints(
      `mariadb-install-db --no-defaults --datadir=$PWD/data --auth-root-authentication-method=normal > log 2>&1
       mariadbd --no-defaults --datadir=$PWD/data --socket=$PWD/s --port=3307 --pid-file=$PWD/pid > log2 2>&1 &
       for i in $(seq 300); do mariadb-admin -S s -u root ping > out 2>&1 && break; sleep 0.1; done
       mariadb -S s -u root -N -e "create database d; create table d.t (n int) engine=innodb; insert into d.t values (42); select n from d.t" || tail log log2
       mariadb-admin -S s -u root shutdown`,
      "42",
    ),
  },
  {
    name: "Redis",
    version: "redis-server --version",
    packages: ["redis-server"],
    tried: "A key that survives a restart, a background save, a script",
    run: prints(
      `start() { redis-server --port 6390 --appendonly yes --daemonize yes --logfile log > out; until redis-cli -p 6390 ping > out 2>&1; do sleep 0.1; done; }
       start; redis-cli -p 6390 set key value > out; redis-cli -p 6390 bgsave > out; redis-cli -p 6390 eval 'return 6 * 7' 0
       redis-cli -p 6390 shutdown save; start; redis-cli -p 6390 get key; redis-cli -p 6390 shutdown nosave`,
      "42\nvalue",
    ),
  },
  {
    name: "memcached",
    version: "memcached --version",
    packages: ["memcached"],
    tried: "A value is kept",
    run: prints(
      `memcached -d -p 11299 -l 127.0.0.1; sleep 1; exec 3<> /dev/tcp/127.0.0.1/11299; printf 'set k 0 0 1\\r\\n7\\r\\nget k\\r\\nquit\\r\\n' >&3; tr -d '\\r' <&3`,
      /STORED\nVALUE k 0 1\n7/,
    ),
  },
  {
    name: "SQLite",
    version: "sqlite3 --version",
    packages: ["sqlite3"],
    tried: "Write-ahead log with two processes at once; full-text search",
    run: prints(
      `sqlite3 a.db "pragma journal_mode = wal; create table t (n); create virtual table f using fts5(x); insert into f values ('some words')" > log
       add() { for i in $(seq 50); do sqlite3 -cmd '.timeout 20000' a.db 'insert into t values (1)'; done; }; add & add; wait
       sqlite3 a.db "select sum(n) from t; select x from f where f match 'words'"`,
      "100\nsome words",
    ),
  },
  {
    name: "Chromium",
    version: "chromium --version",
    packages: ["chromium"],
    tried: "A page's text after its script, a screenshot, a PDF",
    limits: "Needs `--no-sandbox`: a VM allows no further namespaces, and is a sandbox itself.",
    run: prints(
      `run() { chromium --headless --no-sandbox --disable-gpu "$@" ${PAGE} 2>> log; }
       run --dump-dom | grep -o 'from script</p>'; run --screenshot=$PWD/a.png; run --print-to-pdf=$PWD/a.pdf; file -b a.png a.pdf | cut -d, -f1`,
      "from script</p>\nPNG image data\nPDF document",
    ),
  },
  {
    name: "Playwright with Chromium",
    version: "chromium --version > log && npm view playwright-core version",
    packages: ["chromium"],
    needsRegistry: true,
    tried: "A page of a server inside: a click, its text, a screenshot",
    limits:
      'Give `executablePath: "/usr/bin/chromium"`. Playwright\'s own browsers need their download host.',
    run: prints(
      `npm init -y > log && npm install playwright-core >> log
       echo '<button onclick="this.textContent = 6 * 7">press</button>' > index.html
       python3 -m http.server 8000 >> log 2>&1 &
       cat > a.mjs <<'END'
import { chromium } from "playwright-core";
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium" });
const page = await browser.newPage();
await page.goto("http://localhost:8000/");
await page.click("button");
console.log(await page.textContent("button"), (await page.screenshot()).length > 1000);
await browser.close();
END
       node a.mjs`,
      "42 true",
    ),
  },
  {
    name: "Puppeteer with Chromium",
    version: "chromium --version > log && npm view puppeteer-core version",
    packages: ["chromium"],
    needsRegistry: true,
    tried: "A page's text after its script, a PDF",
    limits: "Give `executablePath` and `--no-sandbox`.",
    run: prints(
      `npm init -y > log && npm install puppeteer-core >> log
       cat > a.mjs <<'END'
import puppeteer from "puppeteer-core";
const browser = await puppeteer.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
await page.setContent("<p>hello</p><script>document.querySelector('p').textContent += ' there'</script>");
console.log(await page.$eval("p", (p) => p.textContent), (await page.pdf()).length > 1000);
await browser.close();
END
       node a.mjs`,
      "hello there true",
    ),
  },
  {
    name: "Xvfb, a window",
    version: "command -v Xvfb xwininfo import convert > log; xdpyinfo -version",
    packages: ["xvfb", "x11-utils", "imagemagick", "chromium"],
    tried: "A browser's window on a virtual screen, and a picture of the screen",
    run: prints(
      `Xvfb :7 -screen 0 800x600x24 > log 2>&1 & export DISPLAY=:7; for i in $(seq 100); do xdpyinfo > out 2>&1 && break; sleep 0.1; done
       chromium --no-sandbox --disable-gpu --app='data:text/html,<title>named</title><h1>hi' >> log 2>&1 &
       for i in $(seq 300); do xwininfo -root -tree | grep -o '"named"' && break; sleep 0.1; done | head -1
       /usr/bin/import -window root a.png && file -b a.png | cut -d, -f1,2`,
      '"named"\nPNG image data, 800 x 600',
    ),
  },
  {
    name: "FFmpeg",
    version: "ffmpeg -version | head -1",
    packages: ["ffmpeg"],
    tried: "A film is made, scaled and inspected",
    run: prints(
      `ffmpeg -v error -f lavfi -i testsrc=d=1:s=320x240 -f lavfi -i sine=d=1 -c:v libx264 -c:a aac a.mp4 && ffmpeg -v error -i a.mp4 -vf scale=160:120 b.webm
       ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 a.mp4 b.webm 2>&1 || for f in a.mp4 b.webm; do ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 $f; done`,
      /h264,320[\s\S]*aac[\s\S]*vp9,160/,
    ),
  },
  {
    name: "ImageMagick, Ghostscript",
    version: "/usr/bin/convert --version | head -1; gs --version",
    packages: ["imagemagick", "ghostscript"],
    tried: "A picture with text; a PDF and back",
    run: prints(
      `PATH=/usr/bin:$PATH; convert -size 80x40 xc:white -font DejaVu-Sans -fill black -annotate +5+20 hi a.png && convert a.png a.pdf && convert a.pdf b.jpg && identify -format '%m %w\\n' a.png b.jpg`,
      /^PNG 80\nJPEG \d+$/,
    ),
  },
  {
    name: "LaTeX",
    version: "pdflatex --version | head -1",
    packages: ["texlive-latex-base"],
    tried: "A document with mathematics and a table of contents, as PDF",
    run: prints(
      `printf '%s\\n' '\\documentclass{article}\\begin{document}\\tableofcontents\\section{One}$\\int x\\,dx$\\end{document}' > a.tex
       pdflatex -interaction=batchmode a.tex > log && pdflatex -interaction=batchmode a.tex >> log; grep -o 'Output written on a.pdf (1 page' a.log; file -b a.pdf | cut -d, -f1`,
      "Output written on a.pdf (1 page\nPDF document",
    ),
  },
  {
    name: "LibreOffice, Poppler",
    version: "soffice --version && pdftotext -v 2>&1 | head -1",
    packages: ["libreoffice-writer-nogui", "libreoffice-calc-nogui", "poppler-utils"],
    tried: "A text becomes a PDF, and a table a spreadsheet",
    run: prints(
      `printf 'from a document' > a.txt; printf 'a,b\\n1,2\\n' > t.csv
       soffice --headless --convert-to pdf a.txt > log 2>&1; soffice --headless --convert-to xlsx t.csv >> log 2>&1
       pdftotext a.pdf - | head -1; ls t.xlsx`,
      "from a document\nt.xlsx",
    ),
  },
  {
    name: "Tesseract",
    version: "tesseract --version | head -1; command -v /usr/bin/convert > log",
    packages: ["tesseract-ocr", "imagemagick", "fonts-dejavu-core"],
    tried: "Text is read from a picture",
    run: prints(
      `/usr/bin/convert -size 300x60 xc:white -font DejaVu-Sans -pointsize 40 -annotate +5+45 hello o.png; tesseract o.png - 2> log`,
      "hello",
    ),
  },
  {
    name: "Pandoc",
    version: "pandoc --version | head -1",
    packages: ["pandoc"],
    tried: "Markdown becomes a Word document and comes back",
    run: prints(
      "printf '# Title\\n\\ntext\\n' | pandoc -o a.docx && pandoc a.docx -t markdown",
      /^# Title.*\n\ntext$/,
    ),
  },
];
