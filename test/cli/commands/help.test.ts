import type { Command } from "commander";
import { expect, test } from "vitest";
import { factsOf, pathOf } from "../../../src/cli/commands/command.ts";
import { buildProgram } from "../../../src/cli/program.ts";

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
    "help",
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
