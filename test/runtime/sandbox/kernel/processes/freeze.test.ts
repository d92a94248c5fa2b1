// @module-tag any-user
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { freezeAll } from "../../../../../src/runtime/sandbox/kernel/processes/freeze.ts";
import {
  childrenOf,
  descendants,
  readStat,
} from "../../../../../src/runtime/sandbox/kernel/procfs/procfs.ts";
import { until } from "../../../../support/until.ts";

/** Prints each stop of its child, like a shell with job control. */
const PARENT = `
$SIG{CHLD} = sub { };
my $child = fork;
if (!$child) { while (1) { select undef, undef, undef, 0.001 } }
$| = 1;
print "up\\n";
while (1) {
  my $pid = waitpid(-1, 2 | 1);
  print "stopped\\n" if $pid > 0 && ($? & 0xff) == 0x7f;
  select undef, undef, undef, 0.001;
}`;

async function start(program: string): Promise<ChildProcess & { output: string }> {
  const child = Object.assign(spawn("perl", ["-e", program]), { output: "" });
  onTestFinished(() => {
    for (const pid of descendants(child.pid as number).reverse()) process.kill(pid, "SIGKILL");
  });
  child.stdout?.on("data", (data) => {
    child.output += data;
  });
  await once(child.stdout as NodeJS.ReadableStream, "data");
  return child;
}

const state = (pid: number) => readStat(pid)?.state;

test("freezeAll stops and continues processes unnoticed by parents, and stopped ones stay stopped", async () => {
  const parent = await start(PARENT);
  const stopped = await start('$| = 1; print "up\\n"; sleep 1000');
  process.kill(stopped.pid as number, "SIGSTOP");
  await until(() => state(stopped.pid as number) === "T");
  const find = () => [parent.pid as number, stopped.pid as number].flatMap(descendants);
  const [child] = childrenOf(parent.pid as number);
  for (let round = 0; round < 20; round++) {
    const thaw = await freezeAll(find);
    expect(find().map(state)).toEqual(["T", "T", "T"]);
    thaw();
    await until(() => state(parent.pid as number) !== "T" && state(child as number) !== "T");
  }
  expect(state(stopped.pid as number)).toBe("T");
  expect(parent.output).toBe("up\n");
});
