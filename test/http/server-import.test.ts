import { readdir } from "node:fs/promises";
import { expect, test } from "vitest";
import { runProgram } from "../support/program.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const SERVER = JSON.stringify(new URL("../../src/server.ts", import.meta.url).href);

/** Runs a program that imports the ready-made registry, in an empty home and working directory. */
async function runImport(code: string, env: Record<string, string> = {}) {
  const home = temporaryFolder();
  const options = { cwd: home, env: { HOME: home, ...env } };
  const { stdout, ...end } = await runProgram(["--input-type=module", "-e", code], options);
  return { ...end, result: JSON.parse(stdout) as unknown, files: await readdir(home) };
}

test("importing agent-vm/server writes no file, opens no resource, adds no listener and logs nothing", async () => {
  // Node opens the standard streams on first use, and a dependency may use them on import.
  const code = `
    void [process.stdout, process.stderr];
    const state = () => ({
      env: { ...process.env },
      listeners: process.eventNames().map(String),
      resources: process.getActiveResourcesInfo(),
      exitCode: process.exitCode,
    });
    const before = state();
    const { registry } = await import(${SERVER});
    await new Promise((resolve) => setTimeout(resolve, 50));
    const after = state();
    console.log(JSON.stringify([before, after, typeof registry]));
  `;
  const { result, ...end } = await runImport(code);
  expect(end).toEqual({ code: 0, stderr: "", files: [] });
  const [before, after, type] = result as [object, object, string];
  expect(after).toEqual(before);
  expect(type).toBe("object");
});

test("a wrong variable fails the first use of the registry, not the import", async () => {
  const wrong: [Record<string, string>, string][] = [
    [{ PORT: "http" }, 'Expected `PORT` to be a port from 1 to 65535, got "http"'],
    [{ HOST: "0.0.0.0" }, "Listening on 0.0.0.0 needs a token"],
    [{ AGENT_VM_RUNTIME: "docker" }, "Expected `AGENT_VM_RUNTIME`"],
    [{ AGENT_VM_LOG_LEVEL: "loud" }, "Expected AGENT_VM_LOG_LEVEL to be one of"],
  ];
  // The query makes a module of its own of each import.
  const code = `
    const ends = [];
    for (const [index, env] of ${JSON.stringify(wrong.map(([env]) => env))}.entries()) {
      Object.assign(process.env, env);
      const { registry } = await import(${SERVER} + "?" + index);
      try {
        registry.start();
      } catch ({ code, message }) {
        ends.push({ code, message });
      }
      for (const name of Object.keys(env)) delete process.env[name];
    }
    console.log(JSON.stringify(ends));
  `;
  const { result, ...end } = await runImport(code);
  expect(end).toEqual({ code: 0, stderr: "", files: [] });
  expect(result).toEqual(
    wrong.map(([, message]) => ({ code: "invalid_argument", message: expect.stringContaining(message) })),
  );
});

test("using the registry makes it from the environment, without starting it", async () => {
  const code = `
    const { registry } = await import(${SERVER});
    const { use, managerPort } = registry.config;
    console.log(JSON.stringify([Object.keys(use), managerPort, registry.parseConfig().managerPort]));
  `;
  const { result, ...end } = await runImport(code, { PORT: "6543" });
  expect(end).toEqual({ code: 0, stderr: "", files: [] });
  expect(result).toEqual([["vm"], 6543, 6543]);
});
