// @module-tag attack
import { expect, test, vi } from "vitest";
import { startTestServer } from "../support/servers.ts";

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
