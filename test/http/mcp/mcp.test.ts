import { afterAll, beforeAll, expect, test } from "vitest";
import { connectHttp } from "../../support/mcp.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { failure } from "../../support/until.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", options: { token: TOKEN } });
});
afterAll(() => server.stop());

const admin = () => server.client({ token: TOKEN });

test("a client runs commands, and reads and edits files of one VM", async () => {
  const { client, text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  expect(client.getServerVersion()).toMatchObject({ name: "agent-vm" });
  expect(await text("exec", { command: "echo out; echo err >&2; exit 3" })).toBe("out\nerr\n\n[exit code 3]");
  expect(await text("write_file", { path: "a.txt", content: "one\ntwo\nthree\n" })).toBe(
    "Wrote /home/agentos/a.txt",
  );
  expect(await text("edit_file", { path: "a.txt", old_text: "two", new_text: "2" })).toContain("Replaced 1");
  expect(await text("read_file", { path: "a.txt", start_line: 2, end_line: 3 })).toBe("2\nthree");
  expect(await text("search", { pattern: "t.ree" })).toBe("/home/agentos/a.txt:3:three");
  expect(await text("list_dir")).toContain("file\t12\t/home/agentos/a.txt");
  expect(await text("edit_file", { path: "a.txt", old_text: "none", new_text: "" })).toContain(
    "error: invalid_argument",
  );
  expect(await text("read_file", { path: "missing" })).toContain("error: ENOENT");
  expect(await text("exec", { comand: "x" })).toContain("error: invalid_argument");
});

test("a client without a key names the VM in each call, and creates VMs only on purpose", async () => {
  const { text } = await connectHttp(server.endpoint, "", TOKEN);
  expect(await text("exec", { vm: ["team", "new"], command: "true" })).toContain("error: actor_not_found");
  expect(await text("create_vm", { vm: ["team", "new"] })).toContain('["team","new"]');
  expect(await text("exec", { vm: ["team", "new"], command: "echo made" })).toContain("made");
  expect(await text("list_vms", { prefix: "team" })).toContain('"key":["team","new"]');
  expect(await text("exec", { command: "true" })).toContain("error: invalid_argument");
});

test("a command that takes long goes on, and its output, input and end are reached by its pid", async () => {
  const { text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  const started = await text("start_process", { command: "read line; echo got $line; exec sleep 1000" });
  const pid = Number(/pid (\d+)/.exec(started)?.[1]);
  await text("write_stdin", { pid, text: "hello\n" });
  await expect.poll(() => text("read_output", { pid })).toContain("got hello");
  expect(await text("list_processes")).toContain(`${pid}\trunning`);
  const started_at = Number(/started_at (\d+)/.exec(started)?.[1]);
  expect(await text("list_processes")).toContain(`${pid}\trunning\t${started_at}\t`);
  const other = { pid, started_at: started_at - 1 };
  for (const [tool, more] of [
    ["read_output", {}],
    ["write_stdin", { text: "x" }],
    ["write_stdin", { text: "", close: true }],
    ["stop_process", {}],
    ["stop_process", { force: true }],
  ] as const)
    expect(await text(tool, { ...other, ...more })).toContain("error: process_not_found");
  await text("stop_process", { pid, started_at, force: true });
  expect(await text("read_output", { pid, started_at, wait_ms: 10_000 })).toContain("exit code 137");
});

test("a snapshot is compared with, and undone to", async () => {
  const { text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  await text("write_file", { path: "undo/kept", content: "old" });
  expect(await text("create_snapshot", { name: "before" })).toMatch(/^Snapshot /);
  await text("write_file", { path: "undo/kept", content: "new" });
  expect(await text("diff")).toContain("modified\t/home/agentos/undo/kept");
  expect(await text("undo", { paths: ["undo"] })).toContain("restored");
  expect(await text("read_file", { path: "undo/kept" })).toBe("old");
  expect(await text("list_snapshots")).toContain("before");
});

test("files go up and down as they are, as resources too", async () => {
  const { client, text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  const base64 = Buffer.from([0, 255, 1]).toString("base64");
  expect(await text("upload_file", { path: "bin/a b", base64 })).toContain("Wrote 3 bytes");
  const uri = "vm:///home/agentos/bin/a%20b";
  expect(await text("download_file", { path: "bin/a b" })).toContain(JSON.stringify({ uri, blob: base64 }));
  expect((await client.readResource({ uri })).contents).toEqual([{ uri, blob: base64 }]);
  await text("write_file", { path: "listed", content: "text" });
  const { resources } = await client.listResources();
  expect(resources).toContainEqual({ uri: "vm:///home/agentos/listed", name: "listed", size: 4 });
  expect((await client.readResource({ uri: "vm:///home/agentos/listed" })).contents).toMatchObject([
    { text: "text" },
  ]);
  expect(await failure(client.readResource({ uri: "vm:///no/such" }))).toMatchObject({ code: -32602 });
  expect(await failure(client.readResource({ uri: "vm://other/etc/hostname" }))).toMatchObject({
    code: -32602,
  });
});

test("output reaches the client while the command runs, and a cancelled command is killed", async () => {
  const { client } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  const abort = new AbortController();
  const heard: string[] = [];
  const call = { name: "exec", arguments: { command: "echo progress; sleep 7654" } };
  const calling = client.callTool(call, undefined, {
    signal: abort.signal,
    onprogress({ message = "" }) {
      heard.push(message);
      abort.abort("enough");
    },
  });
  await failure(calling);
  expect(heard).toEqual(["progress\n"]);
  const vm = admin().vm.get("one");
  const sleeps = async () =>
    (await vm.allProcesses()).filter(({ args, state }) => args.includes("7654") && state !== "Z");
  await expect.poll(sleeps).toEqual([]);
});

test("the middle of a long output is left out", async () => {
  const { text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  const output = await text("exec", { command: "seq 1 100000" });
  expect(output.length).toBeLessThan(31_000);
  expect(output).toMatch(/^1\n2\n[\s\S]*characters left out[\s\S]*\n100000\n\n\[exit code 0\]$/);
});

test("a preview URL opens a port", async () => {
  const { text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  await text("start_process", {
    command: "cd /tmp && echo page > index.html && exec python3 -m http.server 8123",
  });
  const vm = admin().vm.get("one");
  await vm.waitForPort(8123);
  expect(await text("list_ports")).toContain("8123");
  expect(await text("preview_url", { port: 8123 })).toMatch(/^http:\/\//);
  expect((await vm.listPreviews()).map(({ port }) => port)).toContain(8123);
});

test("a session runs at most 16 calls at the same time, and further ones after their end", async () => {
  const { client, text } = await connectHttp(server.endpoint, "?vm=one", TOKEN);
  const abort = new AbortController();
  const heard = Array.from({ length: 16 }, () => Promise.withResolvers<void>());
  const calls = heard.map(({ resolve }) =>
    client.callTool({ name: "exec", arguments: { command: "echo runs; sleep 7655" } }, undefined, {
      signal: abort.signal,
      onprogress: () => resolve(),
    }),
  );
  const ended = Promise.allSettled(calls);
  await Promise.all(heard.map(({ promise }) => promise));
  expect(await text("exec", { command: "true" })).toContain("error: limit_exceeded");
  abort.abort("enough");
  await ended;
  await expect.poll(() => text("exec", { command: "echo free" })).toContain("free");
});
