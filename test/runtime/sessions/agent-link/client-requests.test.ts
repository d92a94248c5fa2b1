import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Mutex } from "../../../../src/base/mutex.ts";
import { answerAgent, type ClientSide } from "../../../../src/runtime/sessions/agent-link/client-requests.ts";
import { rawVm } from "../../../support/raw-agent.ts";
import { turnsOf } from "../../../support/turns.ts";

test("terminal/create refuses arguments that execve(2) cannot take", async () => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const { text } = await vm.sendPrompt(
    sessionId,
    `const codes = [];
     for (const request of [
       { command: "a\\0b" },
       { command: "echo", args: ["a\\0b"] },
       { command: "echo", args: ["x".repeat(131072)] },
       { command: "echo", args: Array(30).fill("y".repeat(100000)) },
       { command: "echo", cwd: "/tmp\\0x" },
       { command: "echo", cwd: "/" + "x".repeat(4096) },
       { command: "echo", env: [{ name: "A", value: "\\0" }] },
       { command: "echo", env: [{ name: "A=B", value: "" }] },
     ]) codes.push((await ask("terminal/create", request)).error?.code);
     return codes.join(" ");`,
  );
  expect(text).toBe(Array(8).fill("-32602").join(" "));
});

test("the server makes at most one long answer in each turn of the event loop", async () => {
  let made = 0;
  const client = {
    files: {
      stat: async () => ({ size: 1 }),
      readFile: async () => {
        made++;
        return Buffer.from("x");
      },
    },
    terminals: {
      output: () => {
        made++;
        return {};
      },
    },
    answering: new Mutex(),
  } as unknown as ClientSide;
  const answers = Array.from({ length: 100 }, (_, index) =>
    index % 2 === 0
      ? answerAgent(client, "terminal/output", { terminalId: "terminal-1" })
      : answerAgent(client, "fs/read_text_file", { path: "/file" }),
  );
  for (let turns = 0; made < 100; turns++) {
    expect(made).toBeLessThanOrEqual(turns);
    await turn();
  }
  await Promise.all(answers);
});

test("line and limit select the lines that splitting the file would give", async () => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const ranges = [[], [1], [2], [0, 1], [1, 1], [2, 2], [3, 9], [5, 1], [9], [1, 0], [4, 1], [3, 1]];
  for (const content of ["a\nb\n\nd", "a\nb\n\nd\n", "", "\n", "one"]) {
    await vm.writeFile("/tmp/lines", content);
    const { text } = await vm.sendPrompt(
      sessionId,
      `const all = [];
       for (const [line, limit] of ${JSON.stringify(ranges)}) {
         const { result } = await ask("fs/read_text_file", { sessionId, path: "/tmp/lines", line, limit });
         all.push(result.content);
       }
       return JSON.stringify(all);`,
    );
    expect(JSON.parse(text)).toEqual(
      ranges.map(([line = 1, limit]) => {
        const from = Math.max(line - 1, 0);
        return content
          .split("\n")
          .slice(from, limit === undefined ? undefined : from + limit)
          .join("\n");
      }),
    );
  }
});

test("a large file is read by lines, in slices, and not whole", async () => {
  const bytes = Buffer.from("\n".repeat(8 * 1024 * 1024));
  const client = {
    files: { stat: async () => ({ size: bytes.byteLength }), readFile: async () => bytes },
    answering: new Mutex(),
  } as unknown as ClientSide;
  const read = (part: object) => answerAgent(client, "fs/read_text_file", { path: "/file", ...part });
  await expect(read({})).rejects.toThrow(/at most 2097152 bytes can be sent/);
  await expect(read({ line: 8_000_000, limit: 3 })).resolves.toEqual({ content: "\n\n" });
  expect(await turnsOf(() => read({ line: 8_000_000, limit: 1 }))).toBeGreaterThan(3);
});
