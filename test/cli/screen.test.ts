// @module-tag slow
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cliEnv } from "../support/cli.ts";
import { open } from "../support/scripted.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { fileServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { hasTmux, openScreen, type Screen } from "../support/tmux.ts";
import { until } from "../support/until.ts";

const server = fileServer("scripted");
const envOf = cliEnv();
const needsTmux = test.skipIf(!hasTmux);
const title = (text: string) => (hasTmux ? text : `${text} (skipped: this machine has no tmux)`);

/** Opens a terminal in which `agent-vm` is a command. */
async function person(more: Record<string, string> = {}): Promise<Screen> {
  const screen = await openScreen({ ...envOf(server()), ...more });
  await screen.type(`agent-vm() { ${process.execPath} ${AGENT_VM_PROGRAM} "$@"; }; clear`);
  return screen;
}

async function makeVm(name: string) {
  return await server().client().vm.create(name);
}

needsTmux(
  title("a person opens a shell, resizes it, leaves it, takes it up again and exits it"),
  async () => {
    await makeVm("shell");
    const screen = await person();
    await screen.type("agent-vm shell shell");
    await screen.shows(/bash-[\d.]+\$/);
    await screen.type("stty size");
    await screen.shows(/^30 100$/m);
    await screen.resize(90, 20);
    await screen.type(
      "clear; until [ $(stty size | cut -f2 -d ' ') = 90 ]; do sleep 0.05; done; stty size; x=kept",
    );
    await screen.shows(/^20 90$/m);
    await screen.press("C-p", "C-q");
    await screen.shows(/^Detached. The shell goes on: agent-vm shell shell --attach shell-[0-9a-f]{12}$/m);
    await screen.type("clear; agent-vm shell shell --list");
    await screen.shows(/^shell-[0-9a-f]{12} +\d+ +open +90x20/m);
    await screen.type("clear; agent-vm shell shell --attach");
    await screen.shows(/20 90[\s\S]*bash-[\d.]+\$/);
    await screen.type("clear; echo $x; exit 7");
    await screen.shows(/host>$/);
    await screen.type("echo code $?");
    await screen.shows(/^code 7$/m);
  },
);

needsTmux(title("top shows a VM live, and q ends it and brings the screen back"), async () => {
  const vm = await makeVm("top");
  const screen = await person();
  await screen.type("echo before; agent-vm top top --interval 100ms");
  await screen.shows(/^top {2}awake.*q quits$/m);
  await vm.spawn("sleep", ["4321"]);
  await screen.shows(/agentos +S +.*sleep 4321/);
  await screen.resize(60, 12);
  await screen.shows(/q quits$/m);
  for (const line of await screen.lines()) expect(line.length).toBeLessThanOrEqual(60);
  await screen.press("q");
  await screen.shows(/before\n(?:.*\n)*host>/);
});

needsTmux(title("a log on a terminal has no control characters, on stderr either"), async () => {
  const vm = await makeVm("logged");
  const { pid } = await vm.spawn("bash", [
    "-c",
    "printf 'out\\033[2J\\r\\n'; printf 'kept\\rerr\\033[2J\\n' >&2",
  ]);
  await vm.waitProcess(pid);
  const screen = await person();
  await screen.type("clear; agent-vm logs logged | cat -v; agent-vm logs logged 2> /dev/null");
  await screen.shows(/^kept\\u000derr\\u001b\[2J$/m);
  await screen.shows(/^out\^\[\[2J\^M$/m);
  await screen.shows(/^out\\u001b\[2J$/m);
});

needsTmux(title("a person talks to an agent, answers its question, cancels a turn and leaves"), async () => {
  const vm = await makeVm("talk");
  await open(vm);
  const screen = await person();
  await screen.type("agent-vm session prompt talk");
  await screen.shows(/^>$/m);
  await screen.type("think hm; say hello there");
  await screen.shows(/^~ hm\nhello there\n>$/m);
  await screen.type("permission bash allow_once,reject_once");
  await screen.shows(/● allow_once\n.*○ reject_once/);
  await screen.press("Down");
  await screen.shows(/○ allow_once\n.*● reject_once/);
  await screen.press("Enter");
  await screen.shows(/^bash: reject_once\n>$/m);
  await screen.type("say wait; until-cancel");
  await screen.shows(/^wait$/m);
  await screen.press("C-c");
  await screen.shows(/The turn ended: cancelled\n>$/m);
  await screen.press("C-d");
  await screen.shows(/host>$/m);
});

needsTmux(title("a person sees tables that fit, is asked before a VM goes, and edits a file"), async () => {
  const vm = await makeVm("seen");
  await vm.writeFile("/workspace/text", "two");
  await vm.setLabels({ note: "long ".repeat(40) });
  const screen = await person({ EDITOR: "sed -i s/two/three/" });
  await screen.resize(70, 20);
  await screen.type("clear; agent-vm ls");
  await screen.shows(/^KEY +STATE +PROCESSES[\s\S]*^seen +awake.*…$/m);
  await screen.type("clear; agent-vm edit seen:/workspace/text; agent-vm cat seen:/workspace/text");
  await screen.shows(/^Written: seen:\/workspace\/text\nthree/m);
  await screen.type("clear; agent-vm rm seen");
  await screen.shows(/Destroy the VM seen with all its files\?[\s\S]*○ Yes \/ ● No/);
  await screen.press("Enter");
  await screen.shows(/host>$/m);
  expect(await vm.exists("/workspace/text")).toBe(true);
});

needsTmux(title("Ctrl-C in an editor is the editor's key, and the file is written back"), async () => {
  const vm = await makeVm("keys");
  await vm.writeFile("/workspace/text", "two");
  const editor = join(testFolder(), "editor");
  const loop = "while :; do sleep 0.1; done";
  writeFileSync(editor, `#!/bin/sh\ntrap 'echo three > "$1"; exit 0' INT\necho opened; ${loop}\n`, {
    mode: 0o755,
  });
  const screen = await person({ EDITOR: editor });
  await screen.type("clear; agent-vm edit keys:/workspace/text");
  await screen.shows(/^opened$/m);
  await screen.press("C-c");
  await screen.shows(/Written: keys:\/workspace\/text$/m);
  expect(Buffer.from(await vm.readFile("/workspace/text")).toString()).toBe("three\n");
});

needsTmux(title("an editor may be a command that only a shell knows"), async () => {
  const vm = await makeVm("shell-editor");
  await vm.writeFile("/workspace/text", "two");
  const screen = await person();
  const edit = (editor: string) =>
    screen.type(`clear; EDITOR='${editor}' agent-vm edit shell-editor:/workspace/text`);
  await edit(":");
  await screen.shows(/^Unchanged/m);
  // The screen of the edit before may still be there, and the file is not.
  const isText = async (text: string) =>
    Buffer.from(await vm.readFile("/workspace/text")).toString() === text;
  await edit("command sed -i s/two/three/");
  await until(() => isText("three"));
  await edit("LC_ALL=C exec sed -i s/three/four/");
  await until(() => isText("four"));
});

needsTmux(
  title("SIGTERM and SIGHUP reach the editor, whether EDITOR begins with a variable or not"),
  async () => {
    const vm = await makeVm("ended");
    const editor = join(testFolder(), "editor");
    const traps = ["TERM", "HUP"].map((name) => `trap 'echo $WORD ${name} > "$1"; exit 0' ${name}`);
    const loop = "while :; do sleep 0.1; done";
    writeFileSync(editor, `#!/bin/sh\n${traps.join("\n")}\necho opened $WORD; ${loop}\n`, { mode: 0o755 });
    const pidFile = join(testFolder(), "pid");
    const screen = await person();
    const command = `${process.execPath} ${AGENT_VM_PROGRAM} edit ended:/workspace/text`;
    for (const [variables, word, signal, written] of [
      [`WORD=one EDITOR=${editor}`, "one", "SIGTERM", "one TERM\n"],
      [`WORD=two EDITOR=${editor}`, "two", "SIGHUP", "two HUP\n"],
      [`EDITOR="WORD=three ${editor}"`, "three", "SIGTERM", "three TERM\n"],
      [`WORD=four EDITOR="exec ${editor}"`, "four", "SIGTERM", "four TERM\n"],
    ] as const) {
      await screen.type(`clear; ${variables} sh -c 'echo $$ > ${pidFile}; exec ${command}'`);
      await screen.shows(new RegExp(`^opened ${word}$`, "m"));
      process.kill(Number(readFileSync(pidFile, "utf8")), signal);
      await screen.shows(/Written: ended:\/workspace\/text$/m);
      expect(Buffer.from(await vm.readFile("/workspace/text")).toString()).toBe(written);
    }
  },
);
