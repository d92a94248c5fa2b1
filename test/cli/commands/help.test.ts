import type { Command } from "commander";
import { expect, test } from "vitest";
import { completion } from "../../../src/cli/actions/completion.ts";
import { factsOf, pathOf } from "../../../src/cli/commands/command.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { runProgram } from "../../support/program.ts";

const program = buildProgram();

/** Commands that do something, without groups. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

const all = leaves(program);

test("the help of every command has examples, and they begin with its own name", () => {
  for (const command of all) {
    const path = pathOf(command);
    const { examples } = factsOf(command) ?? { examples: [] };
    expect(examples.length, path).toBeGreaterThan(0);
    for (const [line] of examples) {
      const words = path === "preview open" ? "preview" : path;
      expect(`${line} `).toContain(`${words} `);
    }
  }
});

test("every command that talks to a server takes --json and the options of a server", () => {
  const local = [
    "serve",
    "doctor",
    "backup",
    "restore",
    "completion",
    "context add",
    "context use",
    "context ls",
    "context rm",
  ];
  for (const command of all.filter((each) => !local.includes(pathOf(each)))) {
    const options = command.options.map(({ long }) => long);
    expect(options, pathOf(command)).toEqual(
      expect.arrayContaining(["--json", "--endpoint", "--token", "--context"]),
    );
  }
});

test("the program has the commands of the manual", () => {
  const names = program.commands.map((command) => command.name());
  expect(names).toEqual(
    expect.arrayContaining(
      "serve doctor backup restore ls create stats fork rm call exec run shell ps top logs kill cp cat edit watch tar snapshot diff undo preview net cron session acp token context completion".split(
        " ",
      ),
    ),
  );
});

/** Completes lines with bash. The program lists three keys. */
const COMPLETE = `
agent-vm() { printf '%s\\n' alice '$(touch /tmp/agent-vm-completed)' 'a b'; }
for line; do
  COMP_WORDS=($line ""); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _agent_vm; echo "\${COMPREPLY[@]}"
done`;

test("bash completes commands, subcommands, options and keys, and expands no key", async () => {
  const lines = ["agent-vm", "agent-vm session", "agent-vm --json stats"];
  const script = completion(program, "bash") + COMPLETE;
  const { code, stdout, stderr } = await runProgram(["-c", script, "bash", ...lines], { program: "bash" });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [first, session, stats] = stdout.trim().split("\n");
  expect(first).toMatch(/^serve .*\bsession\b.* --json /);
  expect(session).toMatch(/\bprompt history\b/);
  expect(session).not.toContain("alice");
  expect(stats).toContain("alice \\$\\(touch\\ /tmp/agent-vm-completed\\) a\\ b");
});

test("zsh and fish get scripts with every command, and another shell is refused", () => {
  for (const shell of ["zsh", "fish"]) {
    const script = completion(program, shell);
    for (const command of all) expect(script).toContain(`'${pathOf(command)}'`);
  }
  expect(() => completion(program, "tcsh")).toThrow("Expected bash, zsh or fish");
});
