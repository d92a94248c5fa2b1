import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { completion } from "../../../src/cli/actions/completion.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { runProgram } from "../../support/program.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { hasTmux, openScreen } from "../../support/tmux.ts";

const program = buildProgram();

function has(shell: string): boolean {
  return spawnSync(shell, ["-c", "true"]).status === 0;
}

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

test("another shell is refused", () => {
  expect(() => completion(program, "tcsh")).toThrow("Expected bash, zsh or fish");
});

/** Lists three keys in fish and completes lines. */
const FISH = `
function agent-vm; printf '%s\\n' alice '$(touch /tmp/agent-vm-completed)' 'a b'; end
for line in $argv; complete -C $line; echo =; end`;

test.skipIf(!has("fish"))("fish completes commands, subcommands, options and keys", async () => {
  const script = completion(program, "fish") + FISH;
  const lines = ["agent-vm sn", "agent-vm session p", "agent-vm exec --js", "agent-vm stats "];
  const { stdout, stderr } = await runProgram(["-c", script, ...lines], { program: "fish" });
  const [commands, session, option, keys] = stdout.split("=\n");
  expect({ stderr, commands, session, option }).toEqual({
    stderr: "",
    commands: "snapshot\n",
    session: "prompt\n",
    option: "--json\n",
  });
  expect(keys?.split("\n")).toEqual(
    expect.arrayContaining(["alice", "$(touch /tmp/agent-vm-completed)", "a b"]),
  );
});

test.skipIf(!(hasTmux && has("zsh"))).for(["source FILE", "FILE in fpath"])(
  "zsh completes commands, options and keys on the first Tab: %s",
  { tags: ["slow"] },
  async (way) => {
    const folder = testFolder();
    const script = join(folder, "_agent-vm");
    writeFileSync(script, completion(program, "zsh"));
    const load =
      way === "FILE in fpath"
        ? `fpath=(${folder} $fpath); autoload -Uz compinit; compinit -u`
        : `autoload -Uz compinit; compinit -u; source ${script}`;
    writeFileSync(join(folder, ".zshrc"), `${load}; agent-vm() { echo alice }; PS1="zsh> "; clear\n`);
    const screen = await openScreen({ HOME: folder, ZDOTDIR: folder });
    await screen.type("exec zsh");
    await screen.shows(/^zsh>$/m);
    await screen.press("agent-vm sna", "Tab");
    await screen.shows(/^zsh> agent-vm snapshot$/m);
    await screen.press("C-u", "agent-vm stats --js", "Tab");
    await screen.shows(/^zsh> agent-vm stats --json$/m);
    await screen.press("ali", "Tab");
    await screen.shows(/^zsh> agent-vm stats --json alice$/m);
  },
);
