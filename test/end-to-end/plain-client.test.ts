import { createClient } from "rivetkit/client";
import { expect, onTestFinished, test } from "vitest";
import type { registry } from "../../src/server.ts";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test("RivetKit's own client makes calls that fit into one message, and receives events", async () => {
  const client = createClient<typeof registry>(server().endpoint);
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("plain-client");
  expect((await vm.exec("echo hello && ls -d /home/agentos")).stdout).toBe("hello\n/home/agentos\n");
  const bytes = new Uint8Array(20 << 20).fill(7);
  await vm.writeFile("/workspace/large", bytes);
  expect(Buffer.from(await vm.readFile("/workspace/large")).equals(bytes)).toBe(true);
  await expect(vm.readFile("/nope")).rejects.toMatchObject({
    code: "ENOENT",
    message: "ENOENT: no such file or directory, open '/nope'",
  });
  const conn = vm.connect();
  const output = new Promise<string>((resolve) => {
    conn.on("processOutput", ({ data }) => resolve(new TextDecoder().decode(data)));
  });
  await conn.spawn("echo", ["over an event"]);
  expect(await output).toBe("over an event\n");
});
