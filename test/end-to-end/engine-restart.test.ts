// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startEngine, startEngineServer } from "../support/engine.ts";
import { marked } from "../support/marked.ts";

test("runs one VM an actor after its engine has started it again, and keeps acknowledged files", async (context) => {
  const engine = await startEngine(context);
  let server = await startEngineServer(engine);
  const client = createClient<typeof registry>({ endpoint: engine.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  const answers = () =>
    vm.exec("true").then(
      () => true,
      () => false,
    );
  await expect.poll(answers, { interval: 500 }).toBe(true);
  await vm.writeFile("/workspace/before", "before");
  const mark = `mark-${process.pid}-${Date.now()}`;
  const loop = 'i=0; while :; do i=$((i+1)); echo "$1 $i" > /workspace/loop; sleep 0.1; done';

  for (const round of ["1", "2", "3"]) {
    await vm.spawn("sh", ["-c", loop, "sh", `${mark}-${round}`]);
    await vm.checkpoint();
    await engine.restart();
    await expect.poll(answers, { interval: 500 }).toBe(true);
    // The new instance has ended the old one before it opened the files.
    expect(marked(`${mark}-${round}`)).toEqual([]);
    await vm.writeFile("/workspace/acknowledged", round);
    await vm.exec(`echo ${round} > /workspace/made`);
    await vm.checkpoint();
  }

  await server.stop("SIGKILL");
  server = await startEngineServer(engine);
  await expect.poll(answers, { interval: 500 }).toBe(true);
  const { stdout } = await vm.exec("cat /workspace/before /workspace/acknowledged /workspace/made");
  expect(stdout).toBe("before33\n");
});
