import { expect, test } from "vitest";
import { ask, count, open, scriptedVm } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

const terminal = (name: string, request: object) => `${name} ${JSON.stringify(request)}`;

/** What `terminal` and `terminal-kill` say first. */
function ran(text: string): unknown {
  return JSON.parse(text.slice(0, text.lastIndexOf("}") + 1));
}

test("a command runs to its end in the session's directory, and its terminal is gone when it is released", async () => {
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
  const [told = "", after = ""] = text.split(/(?<=\})(?=error)/);
  const { output, ...rest } = ran(told) as { output: string };
  expect(output.split("\n").sort()).toEqual(["", "/workspace", "b c", "err"]);
  expect(rest).toEqual({
    exit: { exitCode: 3, signal: null },
    truncated: false,
    exitStatus: { exitCode: 3, signal: null },
  });
  expect(after).toMatch(/^error -32/);
});

test("a command may be a whole shell line, and has a directory of its own where it names one", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const text = await ask(vm, id, terminal("terminal", { command: "echo a | tr a b && pwd", cwd: "/tmp" }));
  expect(ran(text)).toMatchObject({ output: "b\n/tmp\n", exit: { exitCode: 0 } });
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("the newest output is kept, cut between characters", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const command = { command: "sh", args: ["-c", "printf aääää"], outputByteLimit: 5 };
  expect(ran(await ask(vm, id, terminal("terminal", command)))).toMatchObject({
    output: "ää",
    truncated: true,
  });
  const large = { command: "sh", args: ["-c", "yes | head -c 3000000 && echo end"] };
  const { output, truncated } = ran(await ask(vm, id, terminal("terminal", large))) as {
    output: string;
    truncated: boolean;
  };
  expect(truncated).toBe(true);
  expect(output.length).toBeLessThanOrEqual(1024 * 1024);
  expect(output.endsWith("y\nend\n")).toBe(true);
});

test("a command is killed with all that it started, and its output can still be read", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const command = { command: "sh", args: ["-c", "echo up && sleep 987040 & sleep 987041"] };
  expect(ran(await ask(vm, id, terminal("terminal-kill", command)))).toEqual({
    exit: { exitCode: null, signal: "SIGKILL" },
    output: "up\n",
    truncated: false,
    exitStatus: { exitCode: null, signal: "SIGKILL" },
  });
  await until(async () => (await count(vm, "sleep")) === 0);
});

test("a program that does not exist", async () => {
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

test("commands that an agent leaves end with its session", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987042"] });
  expect(await ask(vm, id, `${left}; ${left}`)).toBe("leftleft");
  await until(async () => (await count(vm, "sleep")) === 2);
  await vm.closeSession(id);
  expect(await count(vm, "sleep")).toBe(0);
});

test("commands that an agent leaves end with its crash", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987043"] });
  await failure(vm.sendPrompt(id, `${left}; crash 1`));
  await until(async () => (await count(vm, "sleep")) === 0);
});

test("no more than 32 at a time", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const left = terminal("terminal-leave", { command: "sleep", args: ["987044"] });
  expect(await ask(vm, id, Array.from({ length: 32 }, () => left).join("; "))).toBe("left".repeat(32));
  const { response } = await vm.sendPrompt(id, left);
  expect(response.error).toBeDefined();
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("a terminal that never was, or of another session", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  for (const method of ["output", "wait_for_exit", "kill", "release"]) {
    expect(await ask(vm, id, `call terminal/${method} {"terminalId":"nope"}`)).toMatch(/^error -32/);
  }
});
