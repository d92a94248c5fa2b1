import { describe, expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

async function envOf(
  vm: ReturnType<typeof startVm>["vm"],
  env?: Record<string, string>,
): Promise<Record<string, string>> {
  const { stdout } = await vm.execArgv("env", ["-0"], { env });
  return Object.fromEntries(
    stdout
      .split("\0")
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}

const BASE = {
  HOME: "/home/agentos",
  USER: "agentos",
  LOGNAME: "agentos",
  SHELL: "/bin/bash",
  PATH: "/opt/agentos/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LANG: "C.UTF-8",
  HOSTNAME: "agentos",
  PAGER: "cat",
  TMPDIR: "/tmp",
};

describe("a command's environment", () => {
  test("is the base and nothing of the host's", async () => {
    process.env.A_SECRET_OF_THE_HOST = "leaked";
    const { vm } = startVm();
    expect(await envOf(vm)).toEqual(BASE);
    expect((await vm.exec("env")).stdout).not.toContain("A_SECRET_OF_THE_HOST");
  });

  test("the actor's options come over the base, the call's over both", async () => {
    const { vm } = startVm({ env: { FROM: "options", LANG: "de_DE.UTF-8" } });
    expect(await envOf(vm, { FROM: "call", EXTRA: "1" })).toEqual({
      ...BASE,
      LANG: "de_DE.UTF-8",
      FROM: "call",
      EXTRA: "1",
    });
  });

  test("values and names arrive as they are", async () => {
    const { vm } = startVm();
    const env = {
      NEWLINES: "one\ntwo\n",
      QUOTES: `'"\`$HOME $(id) \\`,
      EMPTY: "",
      "dotted.name-with/odd:chars": "odd",
      UNICODE: "größe ✓",
      LONG: "x".repeat(100_000),
    };
    expect(await envOf(vm, env)).toEqual({ ...BASE, ...env });
  });

  test("a preloaded library of the caller's runs in the command only, never in what enters the VM", async () => {
    const { vm } = startVm();
    const source = `
      #include <stdio.h>
      #include <unistd.h>
      __attribute__((constructor)) static void loaded(void) {
        FILE *out = fopen("/home/agentos/loaded", "a");
        char caps[256], line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (fgets(line, sizeof line, status)) if (sscanf(line, "CapEff: %255s", caps) == 1) fprintf(out, "%s\\n", caps);
        fclose(status); fclose(out);
      }`;
    await vm.writeFile("/home/agentos/evil.c", source);
    const built = await vm.exec("gcc -shared -fPIC -o evil.so evil.c");
    expect(built).toMatchObject({ exitCode: 0, stderr: "" });
    expect((await vm.exec("true", { env: { LD_PRELOAD: "/home/agentos/evil.so" } })).exitCode).toBe(0);
    const loaded = Buffer.from(await vm.readFile("/home/agentos/loaded"))
      .toString()
      .trim()
      .split("\n");
    expect(new Set(loaded)).toEqual(new Set(["0000000000000000"]));
  });
});
