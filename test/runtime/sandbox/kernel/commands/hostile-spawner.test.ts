// @module-tag any-user
// @module-tag attack
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KernelSandboxFactory } from "../../../../../src/runtime/sandbox/kernel/factory.ts";
import { openDescriptors } from "../../../../support/host.ts";
import { failure } from "../../../../support/until.ts";
import { startVm } from "../../../../support/vm.ts";

/** Runs in the spawner's place, and can send all that a process of the VM could send after taking the spawner over. */
const TAKE_OVER = `
  $| = 1;
  sub w { syswrite(STDOUT, $_[0]); }
  sub f { my ($kind, $number, @rest) = @_; pack('N/a*', pack('a1 N N*', $kind, $number, @rest)); }
  my $buffer = '';
  sub request {
    while (length($buffer) < 4 || length($buffer) < 4 + unpack('N', $buffer)) {
      sysread(STDIN, $buffer, 65536, length $buffer) or exit 0;
    }
    my $request = substr($buffer, 4, unpack('N', $buffer));
    substr($buffer, 0, 4 + length $request, '');
    return unpack('a1 N a*', $request);
  }
`;

function vmWithSpawner(body: string): ReturnType<typeof startVm>["vm"] {
  return startVm({}, (options) => new KernelSandboxFactory(options, { spawnerSource: TAKE_OVER + body })).vm;
}

const PIPES = "pipe(my $a, my $b); pipe(my $c, my $d); my ($what, $id) = request();";
const STARTED = "f('S', $id, 2, fileno($b), fileno($a), fileno($c))";
const ended = (userUs: string) => `pack('N/a*', pack('a1 N N Q>3', 'E', $id, 0, ${userUs}, 0, 0))`;
const READY = "w(f('R', 1));";

const LIES: Record<string, string> = {
  "is ready and gone": `${READY} exit 0;`,
  "is ready twice": `${READY} ${READY} sleep 1000;`,
  "speaks of a command that it has not been given": `${READY} w(f('S', 9, 1, 0, 1, 2) x 100); sleep 1000;`,
  "starts a command a thousand times": `${READY} ${PIPES} w(${STARTED} x 1000); sleep 1000;`,
  "ends commands that it has not started": `${READY} while (1) { my (undef, $id) = request(); w(${ended("0")}); }`,
  "counts past every number": `${READY} ${PIPES} w(${STARTED} . ${ended("~0")}); sleep 1000;`,
  "sends a frame without an end": `${READY} w(pack('N', 4_000_000_000) . 'x' x 65536); sleep 1000;`,
  "sends a frame that is too short": `${READY} w(pack('N', 0) x 1000); sleep 1000;`,
  "sends a kind that there is not": `${READY} w(f('Z', 1)); sleep 1000;`,
  "writes text": `w("ready 1\\n" x 10000); sleep 1000;`,
};

const STARTS = ["starts a command a thousand times", "counts past every number"];

test.each(Object.entries(LIES))(
  "a spawner that %s is ended, and costs the server nothing",
  async (lie, body) => {
    const vm = vmWithSpawner(body);
    await vm.boot();
    const before = openDescriptors().length;
    const cgroups = readFileSync("/proc/self/cgroup", "utf8");
    // A command of which a spawner says that it runs is never started again.
    const outcome = STARTS.includes(lie) ? { signal: "SIGKILL" } : { code: "vm_stopped" };
    expect(await vm.exec("true").catch((error: unknown) => error)).toMatchObject(outcome);
    expect(readFileSync("/proc/self/cgroup", "utf8")).toBe(cgroups);
    expect(openDescriptors().length).toBeLessThanOrEqual(before + 8);
    await vm.writeFile("/workspace/alive", "yes");
    expect(Buffer.from(await vm.readFile("/workspace/alive")).toString()).toBe("yes");
  },
);

test("a spawner that ends a command that it has not started, and says no more, is ended", {
  tags: ["slow"],
}, async () => {
  const vm = vmWithSpawner(`${READY} ${PIPES} w(${ended("0")}); sleep 1000;`);
  expect(await failure(vm.exec("true"))).toMatchObject({ code: "vm_stopped" });
});

test("a spawner that keeps the end of a command to itself does not outlast its timeout", {
  tags: ["slow"],
}, async () => {
  const vm = vmWithSpawner(`${READY} ${PIPES} w(${STARTED}); sleep 1 while 1;`);
  expect(await vm.exec("true", { timeout: 100 })).toMatchObject({ timedOut: true, signal: "SIGKILL" });
});

test("the spawner loads no file that a VM can write", async (ctx) => {
  const { vm } = startVm();
  if (existsSync("/etc/perl")) {
    // VMs see the host's folder. Every other folder of @INC is below /usr.
    expect(await failure(vm.writeFile("/etc/perl/strict.pm", ""))).toMatchObject({ code: "EROFS" });
    const { stdout } = await vm.exec(
      `for folder in $(perl -e 'print "@INC"'); do [ -d "$folder" ] && [ -w "$folder" ] && echo "$folder"; done; true`,
    );
    expect(stdout).toBe("");
    return;
  }
  await vm.mkdir("/etc/perl");
  const mark = "BEGIN { if ($0 eq '-e') { open(my $f, '>>', '/tmp/loaded'); print $f qq($$ ); } }";
  for (const name of ["strict", "warnings", "sitecustomize", "Config", "POSIX", "Errno"]) {
    await vm.writeFile(
      `/etc/perl/${name}.p${name === "sitecustomize" ? "l" : "m"}`,
      `package ${name}; ${mark} 1;`,
    );
  }
  const { stdout } = await vm.exec("perl -e 'require strict'; wc -w < /tmp/loaded");
  if (stdout.trim() !== "1") ctx.skip("this host's perl does not look in /etc/perl first");
  await vm.exec("kill -KILL $PPID", { timeout: 1000 }).catch(() => undefined);
  await vm.exec("true");
  expect((await vm.exec("wc -w < /tmp/loaded")).stdout.trim()).toBe("1");
});
