import { expect, test } from "vitest";
import { z } from "zod";
import type { HostFunctionContext } from "../../src/runtime/host-functions/types.ts";
import { startTestServer } from "../support/servers.ts";

test("the VMs of a server call its functions under their own keys, also after a sleep", async () => {
  const who = {
    inputSchema: z.object({}),
    async execute(_input: unknown, { vm }: HostFunctionContext) {
      return `${vm.key.join("/")} ${(await vm.status()).generation}`;
    },
  };
  const server = await startTestServer({ kind: "kernel", vm: { hostFunctions: { self: { who } } } });
  const { vm } = server.client();
  const [a, b] = [vm.getOrCreate(["team", "a"]), vm.getOrCreate("b")];
  expect((await a.exec("agentos-self who")).stdout).toBe('{"ok":true,"result":"team/a 1"}\n');
  expect((await b.exec("agentos-self who")).stdout).toBe('{"ok":true,"result":"b 1"}\n');
  await a.sleep();
  expect((await a.exec("agentos-self who")).stdout).toBe('{"ok":true,"result":"team/a 2"}\n');
});
