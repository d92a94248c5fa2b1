import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

test("one connection carries exec, spawn, stdin and events at the same time", async () => {
  const client = server().client();
  const conn = client.vm.getOrCreate("processes").connect();
  const output: string[] = [];
  const exited = new Promise<unknown>((resolve) => void conn.on("processExit", resolve));
  conn.on(
    "processOutput",
    ({ data, stream }) => void output.push(`${stream}:${new TextDecoder().decode(data)}`),
  );
  // A long exec does not delay later calls.
  const long = conn.exec("sleep 0.5; echo long");
  const { pid } = await conn.spawn("cat", [], { stdin: "one\n" });
  await conn.writeProcessStdin(pid, "two\n");
  await conn.closeProcessStdin(pid);
  expect(await exited).toEqual({ pid, exitCode: 0, reason: "exit" });
  expect(output.join("").replaceAll("stdout:", "")).toBe("one\ntwo\n");
  expect((await long).stdout).toBe("long\n");
});

test("an exec runs to its end after its client has disconnected", async () => {
  const client = server().client();
  const vm = client.vm.getOrCreate("cut");
  await vm.exec("true");
  const other = createClient<typeof registry>({ endpoint: server().endpoint });
  const gone = other.vm.getOrCreate("cut").connect();
  const cut = gone.exec("echo started > /tmp/started; sleep 0.7; echo finished > /tmp/finished");
  cut.catch(() => undefined);
  await expect.poll(() => vm.exists("/tmp/started")).toBe(true);
  await other.dispose();
  await expect(cut).rejects.toMatchObject({ name: "AgentVmError" });
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
  // The command of the client that left keeps running.
  await expect.poll(() => vm.exists("/tmp/finished")).toBe(true);
});

test("runs 1,000 concurrent execs of one connection", { tags: ["slow"] }, async () => {
  const client = server().client();
  const conn = client.vm.getOrCreate("many").connect();
  const results = await Promise.all(Array.from({ length: 1000 }, (_, index) => conn.exec(`echo ${index}`)));
  expect(results.map(({ stdout }) => stdout)).toEqual(
    Array.from({ length: 1000 }, (_, index) => `${index}\n`),
  );
});
