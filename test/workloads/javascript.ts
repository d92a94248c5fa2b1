import assert from "node:assert/strict";
import { exec, page, prints, type Workload } from "./workload.ts";

/** A package of npm without dependencies, and a line that prints `--x` by it. */
const PAD = `node -p 'require("left-pad")("x", 3, "-")'`;

/** yarn asks a registry of its own unless it is told otherwise. */
const REGISTRY = "$(npm config get registry | sed 's:/$::')";

export const JAVASCRIPT: Workload[] = [
  {
    name: "npm",
    version: "npm --version",
    packages: [],
    needsRegistry: true,
    tried: "`npm install`, `npx`, and a program of `npm install --global` in PATH",
    run: prints(
      `npm init -y > log && npm install left-pad >> log && ${PAD}
       npx -y semver -i minor 1.2.3
       npm install --global semver >> log && semver 2.0.0`,
      "--x\n1.3.0\n2.0.0",
    ),
  },
  {
    name: "pnpm",
    version: "npm view pnpm version",
    packages: [],
    needsRegistry: true,
    tried: "`pnpm add`, `pnpm dlx`, and a program of `pnpm add --global` in PATH",
    run: prints(
      `npm install --global pnpm > log && pnpm init >> log && pnpm add left-pad >> log && ${PAD}
       pnpm dlx semver -i minor 1.2.3 2>> log
       pnpm add --global semver >> log && semver 2.0.0`,
      "--x\n1.3.0\n2.0.0",
    ),
  },
  {
    name: "yarn 1",
    version: "npm view yarn version",
    packages: [],
    needsRegistry: true,
    tried: "`yarn add`, `yarn node`, and a program of `yarn global add` in PATH",
    run: prints(
      `npm install --global yarn > log && yarn config set registry ${REGISTRY} >> log && npm init -y >> log
       yarn add left-pad >> log && yarn --silent node -p 'require("left-pad")("x", 3, "-")'
       yarn global add semver >> log && semver 2.0.0`,
      "--x\n2.0.0",
    ),
  },
  {
    name: "yarn 4",
    version: "npm view @yarnpkg/cli-dist version",
    packages: [],
    needsRegistry: true,
    tried: "`yarn add` with Plug'n'Play, `yarn node`, `yarn dlx`",
    run: prints(
      `npm install --prefix ~/yarn @yarnpkg/cli-dist > log
       yarn() { node ~/yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js "$@"; }
       export YARN_NPM_REGISTRY_SERVER=${REGISTRY} YARN_ENABLE_TELEMETRY=0
       echo '{ "name": "app" }' > package.json && yarn add left-pad >> log
       yarn node -p 'require("left-pad")("x", 3, "-")'; yarn dlx -q semver -i minor 1.2.3 | tail -1`,
      "--x\n1.3.0",
    ),
  },
  {
    // A mirror of the registry may lack the signatures that corepack checks.
    name: "corepack",
    version: "corepack --version",
    packages: [],
    needsRegistry: true,
    tried: "`corepack enable`, then the version of pnpm that `package.json` names",
    run: prints(
      `corepack enable && echo '{ "name": "app", "packageManager": "pnpm@10.0.0" }' > package.json
       export COREPACK_NPM_REGISTRY=${REGISTRY} COREPACK_INTEGRITY_KEYS=0; pnpm --version`,
      /^10\.0\.0$/m,
    ),
  },
  {
    name: "bun",
    version: "npm view bun version",
    packages: [],
    needsRegistry: true,
    tried: "`bun add`, TypeScript, `bun test`, a program of `bun add --global` in PATH, a server",
    async run(vm) {
      const output = await exec(
        vm,
        `npm install --global bun > log && bun init -y >> log 2>&1 && bun add left-pad >> log 2>&1
         echo 'import pad from "left-pad"; const s: string = pad("x", 3, "-"); console.log(s);' > a.ts && bun run a.ts
         echo 'import { expect, test } from "bun:test"; test("a", () => expect(1).toBe(1));' > a.test.ts
         bun test 2>&1 | grep -o '1 pass'
         bun add --global semver >> log 2>&1 && semver 2.0.0
         echo 'Bun.serve({ port: 3000, fetch: () => new Response("from bun") });' > s.ts`,
      );
      assert.equal(output, "--x\n1 pass\n2.0.0");
      await vm.spawn("bun", ["s.ts"], { cwd: "/workspace" });
      assert.equal(await page(vm, 3000), "from bun");
    },
  },
  {
    name: "Deno",
    version: "npm view deno version",
    packages: [],
    needsRegistry: true,
    tried: "A package of npm, `deno test`, a program of `deno install --global` in PATH",
    run: prints(
      `npm install --global deno > log 2>&1; export NO_COLOR=1
       echo 'import pad from "npm:left-pad"; console.log(pad("x", 3, "-"));' > a.ts && deno run -A a.ts 2>> log
       echo 'Deno.test("a", () => {});' > a_test.ts && deno test 2>&1 | grep -o '1 passed'
       deno install --global -A -n padded a.ts >> log 2>&1 && padded`,
      "--x\n1 passed\n--x",
    ),
  },
  {
    name: "native modules",
    version: "npm view sharp version; npm view better-sqlite3 version",
    packages: [],
    needsRegistry: true,
    tried: "sharp scales a picture, better-sqlite3 answers a query",
    run: prints(
      `npm init -y > log && npm install sharp better-sqlite3 >> log 2>&1
       cat > a.js <<'END'
console.log(new (require("better-sqlite3"))(":memory:").prepare("select 42 as n").get().n);
const create = { width: 80, height: 40, channels: 3, background: "red" };
require("sharp")({ create }).resize(40).png().toFile("a.png").then(({ width, height }) => console.log(width, height));
END
       node a.js`,
      "42\n40 20",
    ),
  },
  {
    name: "Wrangler",
    version: "npm view wrangler version",
    packages: [],
    needsRegistry: true,
    tried: "`wrangler dev` runs a worker, which answers",
    async run(vm) {
      const source = 'export default { fetch: () => new Response("from a worker") };';
      await vm.writeFile("/workspace/worker.js", source);
      await exec(vm, "npm init -y > log && npm install wrangler >> log 2>&1");
      const args = ["wrangler", "dev", "worker.js", "--compatibility-date=2026-01-01", "--port=8787"];
      await vm.spawn("npx", args, { cwd: "/workspace", env: { CI: "1", WRANGLER_SEND_METRICS: "false" } });
      assert.equal(await page(vm, 8787), "from a worker");
    },
  },
  {
    name: "TypeScript, Vitest",
    version: "npm view vitest version",
    packages: [],
    needsRegistry: true,
    tried: "`tsc --noEmit` finds an error of types, Vitest reports a test",
    run: prints(
      `npm init -y > log && npm install typescript vitest >> log 2>&1
       echo 'export const add = (a: number, b: number): string => a + b;' > a.ts
       npx tsc --noEmit a.ts | grep -o 'error TS2322'
       echo 'import { expect, test } from "vitest"; test("a", () => expect(1 + 1).toBe(2));' > a.test.ts
       npx vitest run 2>&1 | grep -o '1 passed' | head -1`,
      "error TS2322\n1 passed",
    ),
  },
  {
    name: "Vite",
    version: "npm view vite version",
    packages: [],
    needsRegistry: true,
    tried: "A production build; the dev server answers, and serves a changed file",
    async run(vm) {
      await vm.writeFiles([
        { path: "/workspace/index.html", content: '<script type="module" src="/main.js"></script>' },
        { path: "/workspace/main.js", content: 'document.title = "first";' },
        { path: "/workspace/package.json", content: '{ "type": "module", "scripts": { "dev": "vite" } }' },
      ]);
      const built = await exec(
        vm,
        "npm install vite > log 2>&1 && npx vite build >> log 2>&1; ls dist/assets",
      );
      assert.match(built, /^index-.*\.js$/);
      await vm.spawn("npm", ["run", "dev"], { cwd: "/workspace" });
      assert.match(await page(vm, 5173), /@vite\/client/);
      assert.match(await page(vm, 5173, "/main.js"), /first/);
      await vm.writeFile("/workspace/main.js", 'document.title = "second";');
      for (let tries = 0; !(await page(vm, 5173, "/main.js")).includes("second"); tries++)
        assert.ok(tries < 500);
    },
  },
  {
    name: "Next.js",
    version: "npm view next version",
    packages: [],
    needsRegistry: true,
    tried: "`next build` and `next start`, and a page of `next dev`",
    limits:
      "Needs about 2 GB of `limits.filesystemBytes` with a larger app. Fonts of `next/font/google` need their host.",
    async run(vm) {
      await vm.writeFiles([
        {
          path: "/workspace/app/layout.jsx",
          content: "export default ({ children }) => <html><body>{children}</body></html>;",
        },
        { path: "/workspace/app/page.jsx", content: 'export default () => <p>{"from " + "next"}</p>;' },
        { path: "/workspace/package.json", content: '{ "private": true }' },
      ]);
      await exec(
        vm,
        `export NEXT_TELEMETRY_DISABLED=1
         npm install next react react-dom > log 2>&1 && npx next build >> log 2>&1 || { tail -50 log; exit 1; }`,
      );
      const env = { NEXT_TELEMETRY_DISABLED: "1" };
      await vm.spawn("npx", ["next", "start", "-p", "3000"], { cwd: "/workspace", env });
      assert.match(await page(vm, 3000), /from next/);
      await vm.spawn("npx", ["next", "dev", "-p", "3001"], { cwd: "/workspace", env });
      assert.match(await page(vm, 3001), /from next/);
    },
  },
  {
    name: "document database",
    version: "npm view express-pouchdb version",
    packages: [],
    needsRegistry: true,
    tried: "CouchDB's protocol by express-pouchdb: a document is put, and found by a query",
    limits: "MongoDB is not among Debian's packages, and those of npm download it from elsewhere.",
    async run(vm) {
      await vm.writeFile(
        "/workspace/s.js",
        `const PouchDB = require("pouchdb");
         require("express")().use(require("express-pouchdb")(PouchDB.defaults({ prefix: "./data/" }))).listen(5984);`,
      );
      await exec(
        vm,
        "mkdir data && npm init -y > log && npm install express@4 express-pouchdb pouchdb >> log 2>&1",
      );
      await vm.spawn("node", ["s.js"], { cwd: "/workspace" });
      assert.match(await page(vm, 5984), /Welcome/);
      const found = await exec(
        vm,
        `db=http://localhost:5984/db; json='content-type: application/json'
         curl -sS -X PUT $db > log && curl -sS -X PUT $db/1 -d '{ "name": "ada", "age": 36 }' -H "$json" >> log
         curl -sS $db/_find -H "$json" -d '{ "selector": { "age": { "$gt": 30 } } }'`,
      );
      assert.match(found, /"name":"ada"/);
    },
  },
];
