import { beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { sharedServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";
import { startHttpServer } from "../support/vm-servers.ts";

const server = sharedServer();
let vm: VmHandle;
beforeAll(async () => {
  vm = server().client().vm.getOrCreate("own-errors");
  await startHttpServer(vm, 3000);
});

const mine = new Error("mine");
const thrower = () => {
  throw mine;
};
const broken = () =>
  new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.error(mine);
    },
  });

test.each<[string, () => Promise<unknown>]>([
  ["a stream that is written", () => vm.writeFile("/workspace/x", broken())],
  ["a stream that is imported", () => vm.importTar(broken())],
  ["a stream that is sent", () => vm.vmFetch(3000, "/", { method: "POST", body: broken(), stream: true })],
  ["onProgress of a write", () => vm.writeFile("/workspace/x", "x", { onProgress: thrower })],
  ["onProgress of a read", () => vm.readFile("/etc/hostname", { onProgress: thrower })],
  ["onStdout of run", () => vm.run("echo x", { onStdout: thrower })],
  ["onStart of run", () => vm.run("echo x", { onStart: thrower })],
])("the error of %s passes through unchanged", async (_name, call) => {
  expect(await failure(call())).toBe(mine);
});
