// @module-tag slow
import { expect, test } from "vitest";
import { cliEnv } from "../../support/cli.ts";
import { runProgram } from "../../support/program.ts";
import { AGENT_VM_PROGRAM } from "../../support/server-process.ts";
import { fileServer } from "../../support/servers.ts";

const server = fileServer("kernel");
const envOf = cliEnv();

/** Runs `agent-vm` on a terminal of 0 columns and 0 lines, as `script` makes it without a terminal of its own. */
async function onTerminalWithoutSize(args: string, stdin: string): Promise<string> {
  const line = `${process.execPath} ${AGENT_VM_PROGRAM} ${args}`;
  const options = { program: "script", env: { ...envOf(server()), CI: "" }, stdin };
  return (await runProgram(["-qec", line, "/dev/null"], options)).stdout;
}

test("a terminal without a size counts as 80 columns and 24 lines", async () => {
  await server().client().vm.create("sizeless");
  expect(await onTerminalWithoutSize("shell sizeless", "stty size; exit\n")).toMatch(/^24 80\r$/m);
  expect(await onTerminalWithoutSize("rm sizeless", "n")).toContain(
    "Destroy the VM sizeless with all its files?",
  );
});
