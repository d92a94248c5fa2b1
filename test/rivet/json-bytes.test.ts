// @module-tag attack
import { expect, test, vi } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

test("long bytes in a JSON answer are not encoded character by character", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" } });
  const vm = server.client().vm.getOrCreate("a");
  const bytes = Uint8Array.from({ length: 100_001 }, (_byte, at) => at * 31);
  await vm.writeFile("/home/bytes", bytes);
  const byCharacter = vi.spyOn(globalThis, "btoa");
  const read = async (action: string, args: unknown[]) => {
    const url = `${server.endpoint}/gateway/${await vm.resolve()}/action/${action}`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify({ args }) });
    return (await answer.json()) as { output: unknown };
  };
  const pair = ["$Uint8Array", Buffer.from(bytes).toString("base64")];
  expect(await read("readFile", ["/home/bytes"])).toEqual({ output: pair });
  expect(await read("readFiles", [["/home/bytes"]])).toMatchObject({ output: [{ content: pair }] });
  expect(byCharacter).not.toHaveBeenCalled();
  byCharacter.mockRestore();
});

test("long bytes in outcomes and events of a JSON connection are not encoded character by character", async () => {
  const server = await startTestServer({ kind: "kernel" });
  const vm = server.client({ encoding: "json" }).vm.getOrCreate("a");
  const bytes = Buffer.from(Uint8Array.from({ length: 100_000 }, (_byte, at) => at * 31));
  await vm.writeFile("/tmp/bytes", bytes);
  const byCharacter = vi.spyOn(globalThis, "btoa");
  expect(await vm.readFiles(["/tmp/bytes"])).toMatchObject([{ content: new Uint8Array(bytes) }]);
  const received: Uint8Array[] = [];
  const conn = vm.connect();
  conn.on("processOutput", ({ data }) => received.push(data));
  const { pid } = await conn.spawn("cat", ["/tmp/bytes"]);
  await conn.waitProcess(pid);
  await until(() => Buffer.concat(received).equals(bytes));
  const long = byCharacter.mock.calls.filter(([text]) => text.length >= 16 * 1024);
  expect(long).toEqual([]);
  byCharacter.mockRestore();
});

test("a result that JSON would blow up is refused with a code, and other encodings carry it", async () => {
  const server = await startTestServer({ kind: "kernel" });
  const command = "head -c 6M /dev/zero";
  const exec = (encoding: "bare" | "json") => server.client({ encoding }).vm.getOrCreate("a").exec(command);
  expect((await exec("bare")).stdout).toHaveLength(6 << 20);
  await expect(exec("json")).rejects.toMatchObject({ code: "response_too_large" });
});
