import { expect, test } from "vitest";
import { ask, count, open, scriptedVm } from "../../../support/scripted.ts";
import { failure, until } from "../../../support/until.ts";

const terminal = (name: string, request: object) => `${name} ${JSON.stringify(request)}`;

/** The result at the start of the text of `terminal` and `terminal-kill`. */
function resultOf(text: string): unknown {
  return JSON.parse(text.slice(0, text.lastIndexOf("}") + 1));
}

test("a command runs in the session's directory, and a released terminal is unknown", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const text = await ask(
    vm,
    id,
    terminal("terminal", {
      command: "sh",
      args: ["-c", "pwd && echo $A && echo err >&2 && exit 3"],
      env: [{ name: "A", value: "b c" }],
    }),
  );
  const [result = "", after = ""] = text.split(/(?<=\})(?=error)/);
  const { output, ...rest } = resultOf(result) as { output: string };
  expect(output.split("\n").sort()).toEqual(["", "/workspace", "b c", "err"]);
  expect(rest).toEqual({
    exit: { exitCode: 3, signal: null },
    truncated: false,
    exitStatus: { exitCode: 3, signal: null },
  });
  expect(after).toMatch(/^error -32/);
});

test("a command may be a shell line, and may have its own cwd", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const text = await ask(vm, id, terminal("terminal", { command: "echo a | tr a b && pwd", cwd: "/tmp" }));
  expect(resultOf(text)).toMatchObject({ output: "b\n/tmp\n", exit: { exitCode: 0 } });
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("the newest output is kept, cut between characters", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const command = { command: "sh", args: ["-c", "printf aääää"], outputByteLimit: 5 };
  expect(resultOf(await ask(vm, id, terminal("terminal", command)))).toMatchObject({
    output: "ää",
    truncated: true,
  });
  const large = { command: "sh", args: ["-c", "yes | head -c 3000000 && echo end"] };
  const { output, truncated } = resultOf(await ask(vm, id, terminal("terminal", large))) as {
    output: string;
    truncated: boolean;
  };
  expect(truncated).toBe(true);
  expect(output.length).toBeLessThanOrEqual(1024 * 1024);
  expect(output.endsWith("y\nend\n")).toBe(true);
});

test("terminal/kill ends a command and its descendants, and keeps the output", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const command = { command: "sh", args: ["-c", "echo up && sleep 987040 & sleep 987041"] };
  expect(resultOf(await ask(vm, id, terminal("terminal-kill", command)))).toEqual({
    exit: { exitCode: null, signal: "SIGKILL" },
    output: "up\n",
    truncated: false,
    exitStatus: { exitCode: null, signal: "SIGKILL" },
  });
  await until(async () => (await count(vm, "sleep")) === 0);
});

test("a program that does not exist fails, and the session continues", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const text = await ask(
    vm,
    id,
    `${terminal("terminal", { command: "no-such-program", args: ["x"] })}`,
  ).catch((error: Error) => error.message);
  expect(text).toMatch(/127|ENOENT|not found/);
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("commands that an agent leaves running end with its session", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987042"] });
  expect(await ask(vm, id, `${left}; ${left}`)).toBe("leftleft");
  await until(async () => (await count(vm, "sleep")) === 2);
  await vm.closeSession(id);
  expect(await count(vm, "sleep")).toBe(0);
});

test("commands that an agent leaves running end with its crash", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987043"] });
  await failure(vm.sendPrompt(id, `${left}; crash 1`));
  await until(async () => (await count(vm, "sleep")) === 0);
});

test("refuses a 33rd terminal", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987044"] });
  expect(await ask(vm, id, Array.from({ length: 32 }, () => left).join("; "))).toBe("left".repeat(32));
  const { response } = await vm.sendPrompt(id, left);
  expect(response.error).toBeDefined();
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("refuses an unknown terminal", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  for (const method of ["output", "wait_for_exit", "kill", "release"]) {
    expect(await ask(vm, id, `call terminal/${method} {"terminalId":"nope"}`)).toMatch(/^error -32/);
  }
});
