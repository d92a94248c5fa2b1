// @module-tag any-user
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

const MIB = 1024 * 1024;

test("a full disk refuses large content and a stream with ENOSPC, and keeps the old file", async () => {
  const server = await startTestServer({ kind: "kernel", vm: { limits: { filesystemBytes: 64 * MIB } } });
  const vm = server.client().vm.getOrCreate("full");
  await vm.writeFile("/workspace/large", "before");
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(MIB)),
  });
  for (const content of [endless, new Uint8Array(80 * MIB)] as Uint8Array[])
    expect(await failure(vm.writeFile("/workspace/large", content))).toMatchObject({ code: "ENOSPC" });
  expect(new TextDecoder().decode(await vm.readFile("/workspace/large"))).toBe("before");
  expect((await vm.exec("ls -A /workspace")).stdout).toBe("large\n");
});
