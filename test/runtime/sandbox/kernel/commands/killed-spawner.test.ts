// @module-tag any-user
import { expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import { helperSource } from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { startVm } from "../../../../support/vm.ts";

/** A spawner that stands still after it has forked a command, as on a busy host. */
const SLOW_SPAWNER = helperSource("spawner").replace(
  "my $pid = fork;",
  "my $pid = fork; select(undef, undef, undef, 0.5) if $pid;",
);

/** A spawner that has ended when the server reads that a command starts. */
const FLEETING = helperSource("spawner")
  .replace("  tell_server('S', $id, $$, @$ends);\n", "  my $spawner = getppid;\n")
  .replace(
    "  exec { $argv->[0] } @$argv;\n",
    () => `kill(9, $spawner); select(undef, undef, undef, 0.01) while -e "/proc/$spawner/stat" && getppid == $spawner;
     tell_server('S', $id, $$, @$ends); exec { $argv->[0] } @$argv;`,
  );

/** A command of which the spawner has no pipes when the server reads that it starts. The spawner lives. */
const WITHOUT_PIPES = helperSource("spawner").replace(
  "  tell_server('S', $id, $$, @$ends);\n",
  () => `  if ($argv->[-1] =~ /LOST/) { open(my $started, '>>', '/workspace/started'); print $started "started\\n"; close $started; $ends = [991, 992, 993]; }
   tell_server('S', $id, $$, @$ends);\n`,
);

test("a command that kills its spawner before the spawner can say anything has run once", async () => {
  const { vm } = startVm({}, (options) => new KernelSandboxFactory(options, { spawnerSource: SLOW_SPAWNER }));
  const result = await vm.exec("echo run >> /workspace/runs; kill -KILL -1");
  expect(result).toMatchObject({ exitCode: 137, signal: "SIGKILL", reason: "signal" });
  expect(Buffer.from(await vm.readFile("/workspace/runs")).toString()).toBe("run\n");
});

test("a command that kills its spawner before the server has its pipes is not started again, and its output is lost", async () => {
  const { vm } = startVm({}, (options) => new KernelSandboxFactory(options, { spawnerSource: FLEETING }));
  const result = await vm.exec("echo run >> /workspace/runs; echo output");
  expect(result).toMatchObject({ exitCode: 137, signal: "SIGKILL", reason: "signal", stdout: "" });
  await vm.exec("true");
  const { stdout } = await vm.exec("cat /workspace/runs 2> /dev/null | wc -l");
  expect(Number(stdout)).toBeLessThanOrEqual(1);
});

test("a command whose pipes the server cannot open is not started again, and ends with its spawner", async () => {
  const { vm } = startVm(
    {},
    (options) => new KernelSandboxFactory(options, { spawnerSource: WITHOUT_PIPES }),
  );
  const result = await vm.exec("sleep 1000; : LOST");
  expect(result).toMatchObject({ exitCode: 137, signal: "SIGKILL", reason: "signal", stdout: "" });
  expect(Buffer.from(await vm.readFile("/workspace/started")).toString()).toBe("started\n");
  expect((await vm.exec("pgrep -c sleep")).stdout).toBe("0\n");
});

test("other commands that have said that they start are not started again when their spawner is ended", async () => {
  const { vm } = startVm(
    {},
    (options) => new KernelSandboxFactory(options, { spawnerSource: WITHOUT_PIPES }),
  );
  const lines = Array.from(
    { length: 8 },
    (_, at) => `echo ${at} >> /workspace/runs; sleep 0.5; : ${at % 2 ? "LOST" : ""}`,
  );
  await Promise.all(lines.map((line) => vm.exec(line)));
  const runs = Buffer.from(await vm.readFile("/workspace/runs"))
    .toString()
    .trim()
    .split("\n");
  expect(new Set(runs).size).toBe(runs.length);
});
