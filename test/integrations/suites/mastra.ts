import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Agent } from "@mastra/core/agent";
import * as mastra from "@mastra/core/workspace";
import { mastraFilesystem, mastraSandbox } from "../../../src/adapters/mastra/index.ts";
import { turnsOf } from "../scripted-model.ts";
import { client } from "../server.ts";
import { scripted } from "./lib/ai-model.ts";

after(() => client.dispose());

const vm = client.vm.getOrCreate("mastra");
const place = { workingDirectory: "/work/mastra" };
const sandbox = mastraSandbox(vm, mastra, place);
const files = mastraFilesystem(vm, mastra, place);

test("an agent works in a workspace of Mastra, with its files and its sandbox", async () => {
  const workspace = new mastra.Workspace({ filesystem: files, sandbox });
  const { FILESYSTEM, SANDBOX } = mastra.WORKSPACE_TOOLS;
  const model = scripted(
    turnsOf(
      [FILESYSTEM.WRITE_FILE, { path: "add.sh", content: "echo $(($1 + $2))\n" }],
      [SANDBOX.EXECUTE_COMMAND, { command: "bash add.sh 2 40; pwd; whoami" }],
      [FILESYSTEM.READ_FILE, { path: "add.sh" }],
      [FILESYSTEM.EDIT_FILE, { path: "add.sh", old_string: "+", new_string: "*" }],
      [FILESYSTEM.GREP, { pattern: "echo", path: "." }],
      [FILESYSTEM.LIST_FILES, { path: "." }],
      [FILESYSTEM.READ_FILE, { path: "missing" }],
    ),
  );
  const agent = new Agent({ id: "coder", name: "coder", instructions: "Work", model, workspace });
  const { text, toolResults, steps } = await agent.generate("Add", { maxSteps: 10 });
  assert.equal(text, "done");
  const results = (steps.length > 0 ? steps.flatMap((step) => step.toolResults) : toolResults).map((result) =>
    JSON.stringify(result),
  );
  // The last call has failed, and has no result.
  assert.equal(results.length, 6, results.join("\n"));
  assert.match(results[1] ?? "", /42\\n\/work\/mastra\\nagentos/);
  assert.match(results[2] ?? "", /echo \$\(\(\$1 \+ \$2\)\)/);
  assert.match(results[4] ?? "", /add\.sh/);
  assert.match(results[5] ?? "", /add\.sh/);
  assert.equal(Buffer.from(await vm.readFile("/work/mastra/add.sh")).toString(), "echo $(($1 * $2))\n");
});

test("processes: input, output as it comes, kill, time limits and aborts", async () => {
  const { processes } = sandbox;
  assert.ok(processes);
  const seen: string[] = [];
  const echo = await processes.spawn("read x; echo got $x $COLOR; echo err >&2; exit 3", {
    env: { COLOR: "blue" },
    onStdout: (text) => seen.push(text),
  });
  await echo.sendStdin("one\n");
  const result = await echo.wait();
  assert.deepEqual(
    [result.exitCode, result.success, result.stdout, result.stderr],
    [3, false, "got one blue\n", "err\n"],
  );
  assert.equal(seen.join(""), "got one blue\n");
  assert.equal(echo.exitCode, 3);

  const cat = await processes.spawn("cat");
  cat.writer.end("piped");
  assert.equal((await cat.wait()).stdout, "piped");

  const slow = await processes.spawn("read line; echo $line; wc -c");
  const before = 40 * 1024 * 1024;
  slow.writer.write(`first\n${"x".repeat(before)}`);
  slow.writer.end();
  assert.equal((await slow.wait()).stdout, `first\n${before}\n`);

  const sleeper = await processes.spawn("sleep 1000");
  assert.ok((await processes.list()).some(({ pid, running }) => pid === sleeper.pid && running));
  assert.equal(await processes.kill(sleeper.pid), true);

  const late = await sandbox.executeCommand?.("sleep", ["1000"], { timeout: 300 });
  assert.deepEqual([late?.timedOut, late?.success], [true, false]);
  const stop = new AbortController();
  const aborted = sandbox.executeCommand?.("sleep", ["1000"], { abortSignal: stop.signal });
  stop.abort();
  assert.equal((await aborted)?.exitCode, 137);
  assert.equal((await sandbox.executeCommand?.("printf", ["%s|", "a b", "$x"]))?.stdout, "a b|$x|");
  assert.equal((await sandbox.executeCommand?.("cat"))?.stdout, "");
});

test("files: errors have Mastra's classes, and every operation works", async () => {
  await files.writeFile("a/b/one.txt", "one");
  await files.appendFile("a/b/one.txt", " two");
  assert.equal(await files.readFile("a/b/one.txt", { encoding: "utf8" }), "one two");
  await files.copyFile("a/b/one.txt", "a/copy.txt");
  await files.copyFile("a", "c", { recursive: true });
  await files.moveFile("a/copy.txt", "d/moved.txt");
  assert.deepEqual((await files.walk("a")).map(({ path }) => path).sort(), ["b", "b/one.txt"]);
  assert.deepEqual(
    (await files.readdir("c", { recursive: true, extension: ".txt" })).map(({ name }) => name).sort(),
    ["b", "b/one.txt", "copy.txt"],
  );
  const names = async (options: object) => (await files.readdir("c", options)).map(({ name }) => name).sort();
  await files.mkdir("c/b/deep");
  await files.writeFile("c/atxt", "");
  assert.deepEqual(await names({ extension: "txt" }), ["b", "copy.txt"]);
  assert.deepEqual(await names({ recursive: true, maxDepth: 0 }), ["atxt", "b", "copy.txt"]);
  assert.deepEqual(await names({ recursive: true, maxDepth: 1, extension: [".txt"] }), [
    "b",
    "b/deep",
    "b/one.txt",
    "copy.txt",
  ]);
  await sandbox.executeCommand?.("ln", ["-s", "one.txt", "c/b/link"]);
  await files.copyFile("c/b/link", "linked/copy.txt");
  assert.equal((await vm.lstat("/work/mastra/linked/copy.txt")).isSymbolicLink, false);
  assert.equal(await files.readFile("linked/copy.txt", { encoding: "utf8" }), "one two");
  const { modifiedAt, size } = await files.stat("d/moved.txt");
  assert.equal(size, 7);
  const write = { expectedMtime: new Date(modifiedAt.getTime() - 1000) };
  await assert.rejects(files.writeFile("d/moved.txt", "x", write), mastra.StaleFileError);
  await files.writeFile("d/moved.txt", "x", { expectedMtime: modifiedAt });
  await assert.rejects(files.readFile("missing"), mastra.FileNotFoundError);
  await assert.rejects(files.readdir("missing"), mastra.DirectoryNotFoundError);
  await assert.rejects(files.readdir("d/moved.txt"), mastra.NotDirectoryError);
  await assert.rejects(files.readFile("a"), mastra.IsDirectoryError);
  await assert.rejects(files.deleteFile("a"), mastra.IsDirectoryError);
  await assert.rejects(files.appendFile("a", "x"), mastra.IsDirectoryError);
  await assert.rejects(files.rmdir("a"), mastra.DirectoryNotEmptyError);
  await assert.rejects(files.writeFile("d/moved.txt", "x", { overwrite: false }), mastra.FileExistsError);
  await assert.rejects(
    files.copyFile("a/b/one.txt", "d/moved.txt", { overwrite: false }),
    mastra.FileExistsError,
  );
  await assert.rejects(
    files.writeFile("no/such.txt", "x", { recursive: false }),
    mastra.DirectoryNotFoundError,
  );
  await assert.rejects(files.writeFile("/usr/x", "x"), mastra.PermissionError);
  await files.deleteFile("missing", { force: true });
  await files.rmdir("a", { recursive: true });
  assert.equal(await files.exists("a"), false);
});

test("a sandbox opens ports, takes files with modes, sleeps and starts again", async () => {
  await sandbox.writeFiles?.([{ path: "run.sh", content: "#!/bin/sh\necho ran\n", mode: 0o755 }]);
  assert.equal((await sandbox.executeCommand?.("./run.sh"))?.stdout, "ran\n");
  const server = await sandbox.processes?.spawn("echo page > index.html; python3 -m http.server 8123");
  await vm.waitForPort(8123);
  const url = await sandbox.networking?.getPortUrl(8123);
  assert.equal(await (await fetch(url ?? "")).text(), "page\n");
  await server?.kill();
  assert.equal((await sandbox.getInfo?.())?.provider, "agent-vm");
  await sandbox.snapshot();
  await sandbox._stop();
  assert.equal((await sandbox.executeCommand?.("cat", ["index.html"]))?.stdout, "page\n");
  const own = mastraSandbox(client.vm.getOrCreate("mastra-own"), mastra, { deleteVm: true });
  await own.executeCommand?.("true");
  await own._destroy();
  await assert.rejects(client.vm.get("mastra-own").status());
});
