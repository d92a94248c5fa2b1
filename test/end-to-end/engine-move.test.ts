// @module-tag slow
import { expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";

test("follows a VM that moves to another server: one call_lost for each call that ran, then every call works", async (context) => {
  const engine = await startEngine(context);
  const first = await startEngineServer(engine);
  await using client = createClient<typeof registry>({ endpoint: engine.endpoint });
  const vm = client.vm.getOrCreate("moved");
  const ready = () => vm.exists("/").catch(() => false);
  await expect.poll(ready, { interval: 1_000 }).toBe(true);
  const connection = vm.connect();
  const told: string[] = [];
  connection.on("vmRestarted", () => told.push("vmRestarted"));
  connection.on("processOutput", ({ data }) => told.push(Buffer.from(data).toString().trim()));
  const outcome = (call: Promise<unknown>) =>
    call.then(
      () => "done",
      (error: { code: string }) => error.code,
    );
  await connection.writeFile("/workspace/acknowledged", "1");
  const running = [outcome(connection.exec("sleep 1000")), outcome(vm.exec("sleep 1000"))];
  await connection.exec("true");
  await startEngineServer(engine);
  await first.stop("SIGKILL");

  // These calls begin before the client knows of the move. The old server may still have got them.
  const after = [connection, vm].map((each) => outcome(each.exec("cat /workspace/acknowledged")));
  for (const each of await Promise.all(after)) expect(["done", "call_lost"]).toContain(each);
  expect((await connection.exec("cat /workspace/acknowledged")).stdout).toBe("1");
  expect(await Promise.all(running)).toEqual(["call_lost", "call_lost"]);
  for (let i = 0; i < 5; i += 1) expect(await outcome(connection.exec("true"))).toBe("done");
  const { pid } = await connection.spawn("echo", ["output"]);
  await connection.waitProcess(pid);
  await expect.poll(() => told).toEqual(["vmRestarted", "output"]);
});
