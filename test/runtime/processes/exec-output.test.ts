// @module-tag any-user
import { expect, test } from "vitest";
import { MAX_INTERLEAVED_BYTES } from "../../../src/runtime/processes/limits.ts";
import { startVm } from "../../support/vm.ts";

const MIB = 1024 * 1024;

test("output past the capture limit is cut, and the command keeps running", async () => {
  const { vm } = startVm({ limits: { captureBytes: 1 * MIB } });
  const result = await vm.exec("yes | head -c 5000000; echo done > /tmp/done");
  expect(result).toMatchObject({ exitCode: 0, truncated: true, reason: "exit" });
  expect(result.stdout.length).toBe(MIB);
  expect(await vm.exists("/tmp/done")).toBe(true);
});

test("the limit counts both streams together", async () => {
  const { vm } = startVm({ limits: { captureBytes: 1000 } });
  const result = await vm.exec("printf '%0600d' 0; sleep 0.1; printf '%0600d' 0 >&2");
  expect([result.stdout.length, result.stderr.length, result.truncated]).toEqual([600, 400, true]);
});

test("output has both streams in the order of arrival, each with its characters whole", async () => {
  const { vm } = startVm();
  const halves = "printf '\\303'; sleep 0.1; echo -n err >&2; sleep 0.1; printf '\\251'";
  const result = await vm.exec(`echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; ${halves}`);
  expect(result).toMatchObject({
    stdout: "one\nthree\né",
    stderr: "two\nerr",
    output: "one\ntwo\nthree\nerré",
  });
});

test("output is cut at its own limit, and stdout is whole", async () => {
  const { vm } = startVm();
  const result = await vm.exec("head -c 6M /dev/zero | tr '\\0' x");
  expect([result.stdout.length, result.output.length]).toEqual([6 * MIB, MAX_INTERLEAVED_BYTES]);
});

test('outputLimit: "kill" ends the command there', async () => {
  const { vm } = startVm({ limits: { captureBytes: 1 * MIB } });
  const result = await vm.exec("yes", { outputLimit: "kill" });
  expect(result).toMatchObject({ truncated: true, reason: "outputLimit", signal: "SIGKILL" });
  expect(result.stdout.length).toBe(MIB);
});

test("bytes that are not UTF-8 become U+FFFD, and the text stays within the limit", async () => {
  const { vm } = startVm({ limits: { captureBytes: 30_000 } });
  const result = await vm.exec("head -c 20000 /dev/zero | tr '\\0' '\\377'");
  expect(result.truncated).toBe(true);
  expect(Buffer.byteLength(result.stdout)).toBeLessThanOrEqual(30_000);
  expect(new Set(result.stdout)).toEqual(new Set(["\ufffd"]));
});

test("multi-byte characters survive however the output is cut into reads", async () => {
  const { vm } = startVm();
  const result = await vm.exec(
    "python3 -c \"import sys, time\nfor b in ('größe ✓ 🎉' * 50).encode():\n  sys.stdout.buffer.write(bytes([b])); sys.stdout.buffer.flush()\"",
  );
  expect(result.stdout).toBe("größe ✓ 🎉".repeat(50));
});

test("an exec does not wait for a background child, which keeps running", async () => {
  const { vm } = startVm();
  const result = await vm.exec("(while :; do echo tick; sleep 0.01; done) & echo $!");
  const pid = result.stdout.split("\n").find((line) => /^\d+$/.test(line));
  expect(result.exitCode).toBe(0);
  // The child writes to a pipe that is no longer captured. It must not die of SIGPIPE.
  expect((await vm.exec(`sleep 0.5; kill -0 ${pid} && echo alive`)).stdout).toBe("alive\n");
});

test("a text cut inside a character leaves the other stream its share of the limit", async () => {
  const { vm } = startVm({ limits: { captureBytes: 1000 } });
  const result = await vm.exec(
    "head -c 600 /dev/zero | tr '\\0' '\\377'; sleep 0.1; head -c 400 /dev/zero | tr '\\0' '\\377' >&2",
  );
  expect(result.truncated).toBe(true);
  expect([result.stdout, result.stderr]).toEqual(["\ufffd".repeat(333), ""]);
});
