import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { runProgram } from "../support/program.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const home = temporaryFolder();
const run = (...args: string[]) =>
  runProgram([AGENT_VM_PROGRAM, ...args], { cwd: home, env: { HOME: home } });
const COMMANDS = ["serve", "doctor", "backup", "restore"].map((name) => new RegExp(`^ {2}${name} +\\S`, "m"));

test.each([[[]], [["--help"]], [["help"]]])("%j prints the commands and exits 0", async (args) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("Usage: agent-vm [options] [command]");
  for (const command of COMMANDS) expect(stdout).toMatch(command);
});

test("refuses a Node older than 22.18 in one line, exits 1", async () => {
  const old = "Object.defineProperty(process,'versions',{value:{...process.versions,node:'22.17.1'}})";
  const args = ["--import", `data:text/javascript,${encodeURIComponent(old)}`, AGENT_VM_PROGRAM, "doctor"];
  const stderr =
    "agent-vm needs Node 22.18 or newer for its server and its command line, this is Node 22.17.1\n";
  expect(await runProgram(args, { cwd: home, env: { HOME: home } })).toEqual({ code: 1, stdout: "", stderr });
});

test("--version prints the version", async () => {
  expect(await run("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
});

test.each([["frobnicate"], ["--port=80"]])(
  "refuses %s in one line, exits 2 and starts nothing",
  async (argument) => {
    const { code, stdout, stderr } = await run(argument);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      new RegExp(`^agent-vm: unknown (command|option) '${argument}'.* See .agent-vm --help.\\.\n$`),
    );
    expect(await readdir(home)).toEqual([]);
  },
);

test("serve refuses arguments, exits 2 and starts nothing", async () => {
  const { code, stdout, stderr } = await run("serve", "6421");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("too many arguments for 'serve'");
  expect(await readdir(home)).toEqual([]);
});
