// @module-tag any-user
// @module-tag attack
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { MAX_HOST_CALLERS } from "../../../src/runtime/sandbox/kernel/limits.ts";
import { needs } from "../../support/installed.ts";
import { startVm, type TestVm } from "../../support/vm.ts";

/** Calls of the function, by the VM that the server takes for the caller. */
function spied(key: string) {
  const calls: string[] = [];
  const failures: unknown[] = [];
  const hostFunctions = {
    note: {
      take: {
        inputSchema: z.object({ text: z.string() }),
        execute: ({ text }: { text: string }) => void calls.push(text),
      },
    },
  };
  const run = { onFailure: (error: unknown) => void failures.push(error) };
  const machine = startVm({ hostFunctions }, undefined, run, { identity: { actorId: key, key: [key] } });
  return { ...machine, calls, failures };
}

/** Speaks with the server's socket from inside. `body` has `frame(KIND, NUMBER, BODY)` and the connected `$s`. */
const perl = (body: string) => `perl -e '
  sub frame { my ($k, $n, $b) = @_; return pack("N/a*", pack("a1 N a*", $k, $n, $b)); }
  sub dial { socket(my $s, 1, 1, 0) or die; connect($s, pack("S x a*", 1, "agentos/host")) or die "refused"; return $s; }
  my $s = dial();
  ${body}
'`;

const CALL = 'frame("a", 0, join("\\0", "", "agentos-note", "take", "--text", "hi"))';

/** Starts to listen, which a VM's first program makes the server do. */
async function listening({ vm }: Pick<TestVm, "vm">) {
  expect((await vm.exec("agentos-note take --text first")).exitCode).toBe(0);
}

test("a program that breaks the protocol is cut off, and others are served", async () => {
  const machine = spied("a");
  await listening(machine);
  const attacks = {
    "no frame": 'syswrite($s, "GET / HTTP/1.1\\r\\n\\r\\n");',
    "a frame without a call": 'syswrite($s, frame("i", 0, "x"));',
    "two calls": `syswrite($s, ${CALL} . ${CALL});`,
    "stdin that nobody asked for": `syswrite($s, ${CALL} . frame("i", 0, "x"));`,
    "700,000 arguments": `syswrite($s, frame("a", 0, join("\\0", "", "agentos-note", "take", ("x") x 700_000)));`,
    "the head of a large frame that nobody asked for": `syswrite($s, ${CALL} . pack("N a1", 1_000_000, "f"));`,
    "a huge frame": 'syswrite($s, pack("N", 4294967295));',
    "a short frame": 'syswrite($s, pack("N", 1));',
    "no bytes": "close($s); exit 0;",
  };
  for (const [name, body] of Object.entries(attacks)) {
    // Ends with the connection: the server has closed it.
    const { exitCode } = await machine.vm.exec(perl(`${body} 1 while sysread($s, my $b, 65536); exit 7;`));
    expect([name, exitCode]).toEqual([name, name === "no bytes" ? 0 : 7]);
  }
  expect((await machine.vm.exec("agentos-note take --text last")).exitCode).toBe(0);
  expect(machine.failures).toEqual([]);
});

test("names of other programs, and arguments of no text, are answered as wrong use", async () => {
  const machine = spied("a");
  await listening(machine);
  const shown = "while (sysread($s, my $b, 65536)) { $b =~ s/[^ -~]//g; print $b; }";
  for (const args of [
    '"sh", "-c", "id"',
    '"agentos-note"',
    '"agentos-note", "__proto__"',
    '""',
    '"agentos-note", "take", "--text", "\\xff\\xfe"',
    '"agentos", "mcp", "x"',
  ]) {
    const { stdout } = await machine.vm.exec(
      perl(`syswrite($s, frame("a", 0, join("\\0", "", ${args}))); ${shown}`),
    );
    expect(stdout).not.toContain("uid=");
    expect(stdout).toMatch(/x/);
  }
  expect(machine.failures).toEqual([]);
});

test("programs that hold their connections do not exceed the limit, nor shut others out for good", async () => {
  const machine = spied("a");
  await listening(machine);
  const { pid } = await machine.vm.spawn("sh", [
    "-c",
    perl(`my @held = map { dial() } 1 .. ${MAX_HOST_CALLERS + 20}; $| = 1; print "held\\n"; sleep 60;`),
  ]);
  await machine.outputHas(pid, "held");
  const refused = await machine.vm.exec("agentos-note take --text x");
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toMatch(/MAX_HOST_CALLERS|ended the call/);
  await machine.vm.killProcess(pid, { tree: true });
  await expect.poll(async () => (await machine.vm.exec("agentos-note take --text y")).exitCode).toBe(0);
});

test("a VM reaches only its own functions, under its own name", async () => {
  const [a, b] = [spied("a"), spied("b")];
  await listening(a);
  await b.vm.exec("agentos-note take --text 'from b'");
  expect(a.calls).toEqual(["first"]);
  expect(b.calls).toEqual(["from b"]);
  const bare = startVm();
  expect((await bare.vm.exec(perl("print 1"))).stderr).toContain("refused");
  // The server's sockets are in the VM's network only: the host's table has no such name.
  expect(readFileSync("/proc/net/unix", "utf8")).not.toContain("@agentos/host");
});

test("a program that takes the server's name serves only its own VM", async () => {
  const machine = spied("a");
  const squat = `perl -e 'socket(my $s, 1, 1, 0); bind($s, pack("S x a*", 1, "agentos/host")) or exit 3; listen($s, 5); $| = 1; print "mine\\n"; sleep 60'`;
  const { pid } = await machine.vm.spawn("sh", ["-c", squat]);
  const winner = await Promise.race([
    machine.outputHas(pid, "mine").then(() => "program"),
    machine.event("processExit", (end) => end.pid === pid).then(() => "server"),
  ]);
  await machine.vm.killProcess(pid, { tree: true }).catch(() => undefined);
  await expect
    .poll(async () => (await machine.vm.exec("agentos-note take --text z", { timeout: 6_000 })).exitCode)
    .toBe(0);
  expect(machine.failures.length).toBe(winner === "program" ? machine.failures.length : 0);
  expect(machine.calls).toContain("z");
});

test("a program that sends descriptors to the server leaves none there", async ({ skip }) => {
  needs(skip, "python3");
  const machine = spied("a");
  await listening(machine);
  const before = readdirSync("/proc/self/fd").length;
  // sendmsg(2) with SCM_RIGHTS, from a language that has it.
  const python = `python3 -c '
import socket, array, os
for i in range(20):
    s = socket.socket(socket.AF_UNIX); s.connect(b"\\0agentos/host")
    fds = array.array("i", [os.open("/etc/passwd", 0)] * 50)
    s.sendmsg([b"x" * 4], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    s.close()
print("sent")'`;
  const { stdout, stderr } = await machine.vm.exec(python);
  expect([stdout, stderr]).toEqual(["sent\n", ""]);
  await listening(machine);
  await expect.poll(() => readdirSync("/proc/self/fd").length).toBeLessThan(before + 20);
});
