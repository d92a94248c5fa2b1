// @module-tag slow
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cliEnv, cliOf, succeeding } from "../support/cli.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { fileServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { until } from "../support/until.ts";

const server = fileServer("kernel");
const run = cliOf(server);
const out = succeeding(run);
const envOf = cliEnv();
const lost = cliOf(() => ({ endpoint: "http://127.0.0.1:9" }));
const folder = temporaryFolder();

/** Makes a VM for a test. */
async function makeVm(name: string): Promise<void> {
  await server().client().vm.create(name.split("/"));
}

describe("agent-vm against a server", () => {
  test("call --list has the rights of each method, and no method of the transport", async () => {
    const listed = await out(["call", "--list"]);
    expect(listed).toMatch(/^readFile\tpath\tfiles or read$/m);
    expect(listed).toMatch(/^writeFile\tpath content\tfiles$/m);
    expect(listed).not.toContain("startRun");
    const rows = JSON.parse(await out(["call", "--list", "--json"])) as { name: string; rights: string[] }[];
    expect(rows.find(({ name }) => name === "readFile")?.rights).toEqual(["files", "read"]);
    expect(rows.map(({ name }) => name)).not.toContain("startRun");
  });

  test("creates, lists, describes, forks and destroys VMs", async () => {
    expect(await out(["create", "team/bob", "--label", "tier=free"])).toBe("team/bob\n");
    expect(await out(["create", "team/bob", "--if-missing"])).toBe("team/bob\n");
    const twice = await run(["create", "team/bob", "--json"]);
    expect(twice.code).toBe(1);
    expect(JSON.parse(twice.stderr)).toMatchObject({ error: { code: "duplicate_key", hint: /./ } });
    expect(await out(["fork", "team/bob", "team/eve"])).toBe("team/eve\n");
    expect(JSON.parse(await out(["fork", "team/bob", "team/ann", "--json"]))).toMatchObject({
      key: ["team", "ann"],
    });
    await out(["rm", "--yes", "team/ann"]);
    expect(await out(["ls", "--prefix", "team", "-q"])).toBe("team/bob\nteam/eve\n");
    const [bob] = JSON.parse(await out(["ls", "--label", "tier=free", "--json"]));
    expect(bob).toMatchObject({ key: ["team", "bob"], labels: { tier: "free" } });
    expect(await out(["stats", "team/bob"])).toMatch(/^state +(awake|sleeping)\n/);
    const asked = await run(["rm", "team/eve"]);
    expect(asked).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^agent-vm: .*--yes.*\n$/),
    });
    expect(await out(["rm", "--yes", "team/eve"])).toBe("");
    expect(await run(["exec", "team/eve", "true"])).toMatchObject({ code: 125 });
    expect((await run(["stats", "team/eve"])).stderr).toMatch(
      /^agent-vm: VM not found.*`agent-vm create KEY`.*\n$/,
    );
    expect(await run(["stats", "team/eve"])).toMatchObject({ code: 4 });
  });

  test("exec and run pass on output, stdin, arguments, variables and the exit code", async () => {
    await makeVm("commands");
    const end = await run(["exec", "commands", "echo out; echo err >&2; exit 7"]);
    expect(end).toEqual({ code: 7, stdout: "out\n", stderr: "err\n" });
    expect(await out(["exec", "-i", "commands", "wc", "-c"], "12345")).toBe("5\n");
    expect(
      await out([
        "run",
        "-e",
        "X=a b",
        "-w",
        "/tmp",
        "commands",
        "--",
        "sh",
        "-c",
        'echo "$X" "$1" "$PWD"',
        "sh",
        "-n",
      ]),
    ).toBe("a b -n /tmp\n");
    expect(await out(["run", "commands", "cat"], "through")).toBe("through");
    expect(await run(["run", "-t", "200ms", "commands", "sleep 60"])).toMatchObject({ code: 124 });
    const lines = (await out(["run", "--json", "commands", "echo x"])).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { stream: "stdout", data: "x\n" },
      { exitCode: 0 },
    ]);
    expect(JSON.parse(await out(["exec", "--json", "commands", "echo x"]))).toMatchObject({
      exitCode: 0,
      stdout: "x\n",
    });
  });

  test("exec passes on every byte of a large output", async () => {
    await makeVm("large");
    const command = "head -c 17000000 /dev/zero | tr '\\0' '\\377'; echo end >&2";
    const child = spawn(process.execPath, [AGENT_VM_PROGRAM, "exec", "large", command], {
      env: { ...programEnv(), ...envOf(server()) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const pieces: Buffer[] = [];
    child.stdout.on("data", (piece) => pieces.push(piece));
    let errors = "";
    child.stderr.on("data", (piece) => {
      errors += piece;
    });
    expect([(await once(child, "close"))[0], errors]).toEqual([0, "end\n"]);
    expect(Buffer.concat(pieces).equals(Buffer.alloc(17_000_000, 0xff))).toBe(true);
  });

  test("run streams bytes unchanged, and Ctrl-C reaches the command", async () => {
    await makeVm("bytes");
    const env = { ...programEnv(), ...envOf(server()) };
    const start = (...args: string[]) =>
      spawn(process.execPath, [AGENT_VM_PROGRAM, "run", "bytes", ...args], {
        env,
        stdio: ["pipe", "pipe", "inherit"],
      });
    const copy = start("cat");
    const pieces: Buffer[] = [];
    copy.stdout.on("data", (piece) => pieces.push(piece));
    const sent = Buffer.from(
      Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 7) ^ (index >> 8)),
    );
    copy.stdin.end(sent);
    expect((await once(copy, "close"))[0]).toBe(0);
    expect(Buffer.concat(pieces).equals(sent)).toBe(true);
    const waiting = start("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done");
    let text = "";
    waiting.stdout.on("data", (data) => {
      text += data;
      if (text === "ready\n") waiting.kill("SIGINT");
    });
    expect((await once(waiting, "close"))[0]).toBe(9);
    expect(text).toBe("ready\ncaught\n");
    const endless = start("yes");
    endless.stdout.once("data", () => endless.stdout.destroy());
    expect(await once(endless, "close")).toEqual([0, null]);
    expect(await out(["ps", "bytes"])).not.toContain("yes");
  });

  test("a detached command is listed, its log is followed to its end, and a signal ends any process", async () => {
    await makeVm("detached");
    const pid = (
      await out(["run", "-d", "detached", "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two"])
    ).trim();
    const following = out(["logs", "-f", "detached"]);
    expect(await out(["ps", "--started", "detached"])).toMatch(new RegExp(`^${pid}\trunning\t`, "m"));
    await out(["cp", "-", "detached:go"], "");
    expect(await following).toBe("one\ntwo\n");
    expect(await out(["logs", "detached", pid])).toBe("one\ntwo\n");
    const vm = server().client().vm.get("detached");
    const { stdout } = await vm.exec("setsid sleep 1234 & echo $!");
    await out(["kill", "-s", "KILL", "detached", stdout.trim()]);
    expect(await out(["ps", "detached"])).not.toContain("1234");
    expect(await run(["kill", "detached", "99999"])).toMatchObject({ code: 4 });
    expect(await run(["kill", "detached", "abc"])).toMatchObject({ code: 2 });
    expect(await out(["top", "detached"])).toMatch(/^detached {2}awake/);
  });

  test("cp copies files and folders both ways, with links, modes and holes", async () => {
    await makeVm("files");
    const app = join(folder, "app");
    mkdirSync(join(app, "bin"), { recursive: true });
    writeFileSync(join(app, "bin/tool"), "#!/bin/sh\n", { mode: 0o755 });
    symlinkSync("bin/tool", join(app, "link"));
    expect(JSON.parse(await out(["cp", "--json", app, "files:/workspace"]))).toMatchObject({
      files: 3,
      bytes: 10,
    });
    expect(await out(["ls", "-l", "files:/workspace/app/bin"])).toMatch(
      /^-rwxr-xr-x\t1000:1000\t10 B\t.*\ttool\n$/,
    );
    expect(await out(["ls", "-R", "files", "/workspace/app"])).toBe("bin/\nbin/tool\nlink\n");
    await server()
      .client()
      .vm.get("files")
      .exec("cd /workspace/app; truncate -s 3M holes; echo end >> holes");
    await out(["cp", "files:/workspace/app", join(folder, "back")]);
    expect(readFileSync(join(folder, "back/bin/tool"), "utf8")).toBe("#!/bin/sh\n");
    expect(statSync(join(folder, "back/bin/tool")).mode & 0o777).toBe(0o755);
    const holes = readFileSync(join(folder, "back/holes"));
    expect([holes.length, holes.subarray(-4).toString(), holes.subarray(0, 1).toString("hex")]).toEqual([
      3 * 1024 ** 2 + 4,
      "end\n",
      "00",
    ]);
  });

  test("cp writes through no link of an earlier copy", async () => {
    await makeVm("links");
    const outside = join(folder, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "keys"), "untouched");
    const vm = server().client().vm.get("links");
    await vm.exec(`mkdir /workspace/w; cd /workspace/w; ln -s ${outside}/keys file; ln -s ${outside} sub`);
    const target = join(folder, "earlier");
    await out(["cp", "links:/workspace/w", target]);
    expect(lstatSync(join(target, "file")).isSymbolicLink()).toBe(true);
    await vm.exec(
      "cd /workspace/w; rm file sub; echo attack > file; chmod +x file; mkdir sub; echo attack > sub/keys",
    );
    for (const [from, to] of [
      ["file", target],
      ["file", join(target, "file")],
      ["sub", target],
    ] as const)
      expect(await run(["cp", `links:/workspace/w/${from}`, to])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("is a link"),
      });
    expect([readdirSync(outside), readFileSync(join(outside, "keys"), "utf8")]).toEqual([
      ["keys"],
      "untouched",
    ]);
    // A person may name a link of their own.
    symlinkSync(outside, join(folder, "own"));
    await out(["cp", "links:/workspace/w/sub/.", join(folder, "own")]);
    expect(readFileSync(join(outside, "keys"), "utf8")).toBe("attack\n");
  });

  test("cp copies between VMs and through stdin and stdout, and tar moves archives", async () => {
    await Promise.all(["from", "other"].map(makeVm));
    await server().client().vm.get("from").writeFile("/workspace/app/bin/tool", "tool\n");
    await out(["cp", "from:/workspace/app", "other:/workspace/"]);
    await out(["cp", "-", "other:/workspace/text"], "from stdin\n");
    expect(await out(["cp", "other:/workspace/text", "-"])).toBe("from stdin\n");
    await out(["cp", "/proc/self/environ", "other:/workspace/environ"]);
    expect(await out(["cp", "other:/workspace/environ", "-"])).not.toBe("");
    expect(await out(["cat", "other:/workspace/app/bin/tool", "other:/workspace/text"])).toBe(
      "tool\nfrom stdin\n",
    );
    expect(await run(["cp", "other:/nowhere", folder])).toMatchObject({ code: 4 });
    expect(await run(["cp", "a", "b"])).toMatchObject({ code: 2 });
    await out(["tar", "export", "other:/workspace", join(folder, "other.tar")]);
    expect(
      JSON.parse(await out(["tar", "import", "--json", "from:/tmp/x", join(folder, "other.tar")])),
    ).toMatchObject({ skipped: 0 });
    await out(["rm", "-r", "from:/tmp/x"]);
    expect(await run(["ls", "from:/tmp/x"])).toMatchObject({ code: 4 });
  });

  test("watch and net log -f say that there is no server", async () => {
    for (const words of [
      ["watch", "gone:/workspace"],
      ["net", "log", "-f", "gone"],
    ]) {
      const { code, stderr } = await lost(words);
      expect([code, stderr]).toEqual([6, expect.stringMatching(/^agent-vm: .*cannot be reached.*\n$/)]);
    }
  });

  test("ls names the server that cannot be reached", async () => {
    const { stderr } = await lost(["ls"]);
    expect(stderr).toMatch(/^agent-vm: The server at http:\/\/127\.0\.0\.1:9 cannot be reached: \w/);
  });

  test("watch goes on after its line has broken", async () => {
    await makeVm("watched");
    const vm = server().client().vm.get("watched");
    const proxy = await tcpProxy(server().port);
    const child = spawn(process.execPath, [AGENT_VM_PROGRAM, "watch", "watched:/workspace", "-c", "2"], {
      env: { ...programEnv(), ...envOf(proxy) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const printed = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].on("data", (piece) => {
        printed[name] += piece;
      });
    await until(async () => (await vm.listWatches()).length === 1);
    // A folder that mkdir() makes may be reported twice: the server changes its owner after its creation.
    await vm.exec("mkdir /workspace/first");
    await until(() => printed.stdout.includes("first"));
    proxy.cut();
    await until(() => printed.stderr.includes("the line broke"));
    await until(() => proxy.connections() > 0);
    let round = 0;
    await until(async () => {
      if (child.exitCode !== null) return true;
      round += 1;
      await vm.exec(`mkdir /workspace/later-${round}`);
      return false;
    });
    expect(child.exitCode).toBe(0);
    expect(printed.stdout).toMatch(/^created +\/workspace\/first\ncreated +\/workspace\/later-\d+\n$/);
    await proxy.close();
  });

  test("what a VM has named is printed without control characters", async () => {
    await makeVm("hostile");
    const vm = server().client().vm.get("hostile");
    await vm.exec(
      `mkdir x; touch "x/$(printf 'a\\033[31mb\\nc')"; (exec -a "$(printf 'evil\\033]0;title\\007')" sleep 99) &`,
    );
    expect(await out(["ls", "hostile:x"])).toBe("a\\u001b[31mb\\u000ac\n");
    const listed = (await out(["ps", "hostile"])) + (await out(["ps", "hostile", "--json"]));
    expect(listed).toContain("evil\\u001b]0;title\\u0007");
    expect(listed).not.toContain("\u001b");
  });

  test("snapshots, differences and undo", async () => {
    await makeVm("snapshots");
    const vm = server().client().vm.get("snapshots");
    await vm.writeFile("/workspace/a", "one");
    const id = (await out(["snapshot", "create", "snapshots", "first"])).trim();
    expect(await out(["snapshot", "ls", "snapshots"])).toMatch(new RegExp(`^${id}\tfirst\t`));
    await vm.writeFile("/workspace/a", "two");
    expect(await out(["diff", "snapshots", id])).toBe("M\t3 B\t/workspace/a\n");
    const later = (await out(["snapshot", "create", "snapshots"])).trim();
    expect(await out(["diff", "snapshots", id, later])).toBe("M\t3 B\t/workspace/a\n");
    expect(await out(["cat", "snapshots:/workspace/a", "-s", id])).toBe("one");
    expect(JSON.parse(await out(["cat", "--json", "snapshots:/workspace/a", "-s", id]))).toMatchObject({
      content: "one",
    });
    await out(["fork", "snapshots", "of-snapshot", "-s", id]);
    expect(await out(["cat", "of-snapshot:/workspace/a"])).toBe("one");
    expect(await out(["undo", "snapshots", "/workspace/a", "-s", id])).toBe("/workspace/a\t1\t-\n");
    await out(["cp", "-", "snapshots:notes"], "new");
    expect(await out(["undo", "snapshots", "notes", "-s", id])).toMatch(/^\/home\/agentos\/notes\t\d+\t-\n$/);
    expect(await out(["diff", "snapshots", id])).toBe("");
    expect(await run(["snapshot", "restore", "snapshots", id])).toMatchObject({ code: 2 });
    await out(["snapshot", "restore", "-y", "snapshots", id]);
    await out(["snapshot", "rm", "snapshots", id]);
    expect(await run(["snapshot", "rm", "snapshots", id])).toMatchObject({ code: 4 });
  });
});
