import { beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { sharedServer } from "../support/servers.ts";
import { startHttpServer } from "../support/vm-servers.ts";

const MIB = 1024 * 1024;
const server = sharedServer();
let vm: VmHandle;
beforeAll(() => {
  vm = server().client().vm.getOrCreate("blobs");
});

test.each([0, 10, 9 * MIB])("writes a Blob of %i bytes", async (size) => {
  const data = Uint8Array.from({ length: size }, (_, index) => index % 251);
  const told: unknown[] = [];
  await vm.writeFile("/workspace/blob", new Blob([data]), { onProgress: (progress) => told.push(progress) });
  expect(Buffer.compare(await vm.readFile("/workspace/blob"), data)).toBe(0);
  expect(told.at(-1)).toEqual({ transferred: size, total: size });
});

test("imports an archive that is a Blob", async () => {
  await vm.writeFile("/workspace/from/file", "packed");
  const archive = new Blob([
    (await (await vm.exportTar("/workspace/from")).bytes()) as Uint8Array<ArrayBuffer>,
  ]);
  await vm.importTar(archive, "/workspace/to");
  expect(new TextDecoder().decode(await vm.readFile("/workspace/to/file"))).toBe("packed");
});

test("sends a Blob as the body of a request", async () => {
  await startHttpServer(vm, 3000);
  const request = { method: "POST", body: new Blob(["sent"]) };
  const whole = await vm.vmFetch(3000, "/echo", request);
  const streamed = await vm.vmFetch(3000, "/echo", { ...request, stream: true });
  expect(await streamed.text()).toContain("sent");
  expect(new TextDecoder().decode(whole.body)).toContain("sent");
});
