// @module-tag attack
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { encodeFrame, MAX_FRAME_BYTES } from "../../../../../src/runtime/sandbox/kernel/helpers/frames.ts";
import { helperCommand, helperSource } from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";

const perl = findTool("perl") as string;

/** Milliseconds within which a call ends, however busy the machine is. */
const END_MS = 20_000;

/** Listens at the server's place, starts the caller, and gives it the own stdin as the server's answer. Ends as the caller does. */
const SERVER = `
use Socket;
my $listening;
socket($listening, AF_UNIX, SOCK_STREAM, 0) && bind($listening, pack('S x a*', AF_UNIX, 'agentos/host')) && listen($listening, 1) or die;
my $pid = fork // die;
if ($pid == 0) { open(STDIN, '<', '/dev/null'); exec { $ARGV[0] } @ARGV; }
accept(my $call, $listening) or die;
$SIG{PIPE} = 'IGNORE';
while (sysread(STDIN, my $piece, 65536)) { syswrite($call, $piece); }
shutdown($call, 1);
my $request = '';
while (sysread($call, my $piece, 65536)) { $request .= $piece if length $request < 65536; }
close($call);
waitpid($pid, 0);
exit($? & 127 ? 255 : $? >> 8);
`;

/** Runs a real caller in a network namespace of its own, with these bytes as the server's answer. */
async function call(...answer: Uint8Array[]) {
  const caller = helperCommand(perl, helperSource("caller"), ["argument"]);
  const child = spawn(
    "unshare",
    ["--user", "--map-root-user", "--net", perl, "-e", SERVER, "--", ...caller],
    {
      timeout: END_MS,
      killSignal: "SIGKILL",
    },
  );
  child.stdin.on("error", () => undefined);
  child.stdin.end(Buffer.concat(answer));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const [stdout, stderr, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { stdout, stderr, ...end };
}

const length = (bytes: number) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes >>> 0);
  return head;
};

test("caller prints what the server sends, and ends with its code", async () => {
  const answer = [
    encodeFrame("o", 0, Buffer.from("out\n")),
    encodeFrame("E", 0, Buffer.from("err\n")),
    encodeFrame("x", 7),
  ];
  expect(await call(...answer)).toEqual({ stdout: "out\n", stderr: "err\n", code: 7, signal: null });
});

test("caller says that the host has ended the call if the answer ends, also inside a frame", async () => {
  const whole = encodeFrame("o", 0, Buffer.from("never printed"));
  for (const cut of [0, 1, 4, 8, whole.length - 1]) {
    expect(await call(whole.subarray(0, cut)), `${cut}`).toEqual({
      stdout: "",
      stderr: expect.stringMatching(/: the host has ended the call\n$/),
      code: 1,
      signal: null,
    });
  }
});

test("caller breaks off for a frame that is too short or too long, and for a kind that there is not", async () => {
  const bodies = [0, 4, MAX_FRAME_BYTES + 1, 0xffffffff].map(length);
  for (const frame of [...bodies, ...["\0", "Z", "\n", "a"].map((kind) => encodeFrame(kind, 0))]) {
    expect(await call(frame), frame.toString("hex")).toEqual({
      stdout: "",
      stderr: "",
      code: 2,
      signal: null,
    });
  }
});

test("caller reads no file that is too large or that there is not, and goes on", async () => {
  const answer = ["/proc/self/maps", "/gone", "a\0b", "", "-"].map((path) =>
    encodeFrame("r", 1, Buffer.from(path)),
  );
  expect(await call(...answer, encodeFrame("n", 0), encodeFrame("x", 3))).toMatchObject({ code: 3 });
});
