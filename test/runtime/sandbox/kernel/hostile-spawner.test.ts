import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../src/runtime/sandbox/kernel/factory.ts";
import { findTool } from "../../../../src/runtime/sandbox/kernel/tools.ts";
import { openDescriptors } from "../../../support/host.ts";
import { startVm } from "../../../support/vm.ts";

/** perl loads strict.pm from the VM's /etc first, so this runs in the spawner's place. */
const TAKE_OVER = String.raw`package strict; sub import {} BEGIN { if ($0 eq '-e') {
  my $buffer = '';
  sub w { syswrite(STDOUT, $_[0]); }
  sub request {
    while (length($buffer) < 4 || length($buffer) < 4 + unpack('V', $buffer)) {
      sysread(STDIN, $buffer, 65536, length $buffer) or exit 0;
    }
    my $length = unpack('V', $buffer);
    my $request = substr($buffer, 4, $length);
    $buffer = substr($buffer, 4 + $length);
    return split(/\0/, $request, -1);
  }
  BODY
} } 1;`;

async function vmWithSpawner(body: string): Promise<ReturnType<typeof startVm>["vm"] | undefined> {
  const { vm } = startVm({}, (options) => new KernelSandboxFactory(options, "spawner"));
  await vm.mkdir("/etc/perl");
  await vm.writeFile("/etc/perl/strict.pm", "package strict; sub import {} BEGIN { $main::mine = 1 } 1;");
  const { stdout } = await vm.exec(`perl -e 'use strict; print $main::mine'`);
  if (stdout !== "1") {
    console.log("skipped: this host's perl does not look in /etc/perl first");
    return undefined;
  }
  await vm.writeFile(
    "/etc/perl/strict.pm",
    TAKE_OVER.replace("BODY", () => body),
  );
  // It may die before it has told that this command has begun, which is then tried again with the hostile one.
  await vm.exec("kill -KILL $PPID", { timeout: 1000 }).catch(() => undefined);
  return vm;
}

const PIPES = "pipe(my $a, my $b); pipe(my $c, my $d); my ($what, $id) = request();";
const STARTED = 'sprintf("started $id 2 %d %d %d\\n", fileno($b), fileno($a), fileno($c))';

const LIES: Record<string, string> = {
  "is ready and gone": 'w("ready 1\\n"); exit 0;',
  "is ready twice": 'w("ready 1\\n" x 2); sleep 1000;',
  "speaks of a command that it has not been given":
    'w("ready 1\\n"); w("started 9 1 0 1 2\\n" x 100); sleep 1000;',
  "starts a command a thousand times": `w("ready 1\\n"); ${PIPES} w(${STARTED} x 1000); sleep 1000;`,
  "ends a command that it has not started": `w("ready 1\\n"); ${PIPES} w("exited $id 0 0 0 0\\n"); sleep 1000;`,
};

const perl = findTool("perl");

test.runIf(perl).each(Object.entries(LIES))(
  "a spawner that %s is ended, and costs the server nothing",
  async (_, body) => {
    const vm = await vmWithSpawner(body);
    if (vm === undefined) return;
    const before = openDescriptors().length;
    const cgroups = readFileSync("/proc/self/cgroup", "utf8");
    await expect(vm.exec("true")).rejects.toMatchObject({ code: "vm_stopped" });
    expect(readFileSync("/proc/self/cgroup", "utf8")).toBe(cgroups);
    expect(openDescriptors().length).toBeLessThanOrEqual(before + 8);
    await vm.delete("/etc/perl/strict.pm");
    expect((await vm.exec("echo on")).stdout).toBe("on\n");
  },
);

test.runIf(perl)(
  "a spawner that keeps the end of a command to itself does not outlast its timeout",
  async () => {
    const body = `w("ready 1\\n"); ${PIPES} w(${STARTED}); w("running $id\\n"); sleep 1 while 1;`;
    const vm = await vmWithSpawner(body);
    if (vm === undefined) return;
    expect(await vm.exec("true", { timeout: 100 })).toMatchObject({ timedOut: true, signal: "SIGKILL" });
  },
);
