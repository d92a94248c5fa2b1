import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { dataFolder } from "../support/temporary-folder.ts";

test("a server that npm has started ends when npm's shell dies of a signal", async () => {
  const env = {
    ...programEnv(),
    npm_command: "exec",
    PORT: String(await freePort()),
    AGENT_VM_DATA: dataFolder(),
    AGENT_VM_RUNTIME: "memory",
    AGENT_VM_LOG_LEVEL: "info",
  };
  // Like npm: a shell that does not replace itself by the program.
  const script = '"$0" "$1" serve 2>&1; true';
  const shell = spawn("sh", ["-c", script, process.execPath, AGENT_VM_PROGRAM], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  shell.stdout.on("data", (data) => {
    output += data;
    if (output.includes("Access")) shell.kill("SIGTERM");
  });
  // The output ends with the last process that writes to it.
  await once(shell.stdout, "close");
  expect(output).toContain("server shuts down");
});
