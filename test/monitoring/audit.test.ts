import { readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { AuditEvent, AuditOption } from "../../src/monitoring/audit.ts";
import { startTestServer } from "../support/servers.ts";
import { dataFolder } from "../support/temporary-folder.ts";
import { failure, until } from "../support/until.ts";

const start = async (audit: AuditOption, token?: string) => {
  const server = await startTestServer({ kind: "fake", options: { audit, token } });
  const client = server.client(token === undefined ? {} : { token });
  return { server, vm: client.vm.getOrCreate(["team", "one"]) };
};

const linesOf = async (file: string) =>
  (await readFile(file, "utf8").catch(() => ""))
    .split("\n")
    // The last line may be half written.
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditEvent);

test("says who has called what of which VM, how it ended, and no argument", async () => {
  const events: AuditEvent[] = [];
  const { vm } = await start((event) => void events.push(event), "t0ken");
  await vm.exec("echo s3cr3t");
  await failure(vm.exec("enoent"));
  await failure(vm.exec("fail"));
  expect(events).toMatchObject(
    ["ok", "ENOENT", "internal_error"].map((outcome) => ({
      who: { kind: "server" },
      actor: "vm",
      vm: ["team", "one"],
      method: "exec",
      outcome,
      durationMs: expect.any(Number),
      at: expect.stringMatching(/^\d{4}-.*Z$/),
    })),
  );
  expect(JSON.stringify(events)).not.toMatch(/s3cr3t|t0ken|details/);
});

test("has command lines and paths if asked for, and never content", async () => {
  const events: AuditEvent[] = [];
  const { vm } = await start({ onEvent: (event) => void events.push(event), details: true });
  await vm.exec("echo shown", { env: { KEY: "s3cr3t" } });
  await vm.writeFile("/home/x", "s3cr3t");
  await failure(vm.exec("x", { bad: "s3cr3t" } as object));
  expect(events.map(({ details }) => details)).toEqual([{ command: "echo shown" }, { path: "/home/x" }, {}]);
  expect(events.at(-1)).toMatchObject({ who: { kind: "anyone" }, outcome: "invalid_argument" });
  expect(JSON.stringify(events)).not.toContain("s3cr3t");
});

test("a file has no control character of a path, also none above ASCII", async () => {
  const file = join(dataFolder(), "audit.log");
  const { vm } = await start({ file, details: true });
  const path = "/\u009b31m\u202e\u2028";
  await vm.exists(path);
  await until(async () => (await linesOf(file)).length === 1);
  expect(await linesOf(file)).toMatchObject([{ details: { path } }]);
  expect(await readFile(file, "utf8")).toMatch(/^[ -~]+\n$/);
});

test("a file gets a line of JSON for each call, and survives rotation without a lost line", async () => {
  const file = join(dataFolder(), "audit.log");
  const { vm } = await start({ file });
  const calls = (count: number) => Promise.all(Array.from({ length: count }, (_, at) => vm.exists(`/${at}`)));
  await calls(50);
  await until(async () => (await linesOf(file)).length === 50);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await rename(file, `${file}.1`);
  await calls(50);
  await until(async () => (await linesOf(file)).length === 50);
  expect(await linesOf(`${file}.1`)).toHaveLength(50);
});

test("a file that cannot be written, or a function that throws, fails no call", async () => {
  const { vm } = await start({ file: "/nowhere/audit.log" });
  expect(await vm.exists("/x")).toBe(false);
  const { vm: other } = await start(() => {
    throw new Error("full");
  });
  expect(await other.exists("/x")).toBe(false);
});

test("an unknown form is refused", async () => {
  const error = await failure(start({ file: "" }));
  expect(error).toMatchObject({ code: "invalid_argument", metadata: { argument: "audit" } });
});
