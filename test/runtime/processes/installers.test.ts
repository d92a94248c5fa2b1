// @module-tag any-user
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { startVm } from "../../support/vm.ts";

const FOLDERS = [
  ...[
    "~/.local/bin",
    "~/go/bin",
    "~/.cargo/bin",
    "~/.bun/bin",
    "~/.deno/bin",
    "~/.dotnet/tools",
    "~/.yarn/bin",
  ],
  ...[
    "~/.config/composer/vendor/bin",
    "~/.local/share/pnpm",
    "~/.local/share/pnpm/bin",
    "~/.local/share/gem/bin",
  ],
];

test("programs in the folders of installers are found by commands, login shells and terminals", async () => {
  const { vm, screenHas } = startVm();
  const made = FOLDERS.map(
    (folder, index) =>
      `mkdir -p ${folder}; printf '#!/bin/sh\\necho ${index}' > ${folder}/own${index}; chmod 755 ${folder}/own${index}`,
  );
  const call = made.map((_line, index) => `own${index}`).join("; ");
  const found = made.map((_line, index) => `${index}\n`).join("");
  await vm.exec(made.join("; "));
  expect((await vm.exec(call)).stdout).toBe(found);
  expect((await vm.execArgv("bash", ["-lc", call])).stdout).toBe(found);
  expect((await vm.execArgv("own3")).stdout).toBe("3\n");
  const { shellId } = await vm.openShell();
  await vm.writeShell(shellId, "own10; own2\n");
  await screenHas(shellId, "10\r\n2\r\n");
});

/** An installer, lines that make a package without a network and install it, and a call of its program. */
const INSTALLERS: [program: string, install: string, call: string][] = [
  [
    "/usr/bin/pip",
    `printf 'from setuptools import setup\\nsetup(name="tiny", version="1", py_modules=["tiny"], entry_points={"console_scripts": ["tiny=tiny:main"]})' > setup.py
     echo 'def main(): print("tiny")' > tiny.py; /usr/bin/pip install --no-index --no-build-isolation .`,
    "tiny",
  ],
  [
    "/usr/bin/pipx",
    `printf 'from setuptools import setup\\nsetup(name="tiny", version="1", py_modules=["tiny"], entry_points={"console_scripts": ["tiny=tiny:main"]})' > setup.py
     echo 'def main(): print("tiny")' > tiny.py; /usr/bin/pipx install --system-site-packages --pip-args='--no-index --no-build-isolation' .`,
    "tiny",
  ],
  [
    "/usr/bin/npm",
    `printf '{"name": "tiny", "version": "1.0.0", "bin": {"tiny": "tiny.js"}}' > package.json
     printf '#!/usr/bin/env node\\nconsole.log("tiny")' > tiny.js; npm pack; npm install --global --offline ./tiny-1.0.0.tgz`,
    "tiny",
  ],
  [
    "/usr/bin/go",
    "echo 'module tiny' > go.mod; printf 'package main\\nfunc main() { print(\"tiny\\\\n\") }' > tiny.go; go install .",
    "tiny 2>&1",
  ],
  [
    "/usr/bin/cargo",
    `mkdir src; printf '[package]\\nname = "tiny"\\nversion = "0.1.0"' > Cargo.toml
     echo 'fn main() { println!("tiny") }' > src/main.rs; cargo install --offline --path .`,
    "tiny",
  ],
  [
    "/usr/bin/gem",
    `echo 'Gem::Specification.new { |s| s.name = "tiny"; s.version = "1"; s.summary = s.name; s.authors = [s.name]; s.files = ["bin/tiny"]; s.executables = ["tiny"] }' > tiny.gemspec
     mkdir bin; printf '#!/usr/bin/env ruby\\nputs "tiny"' > bin/tiny; gem build tiny.gemspec; gem install --local tiny-1.gem`,
    "tiny",
  ],
];

for (const [program, install, call] of INSTALLERS) {
  test(`${program} installs where PATH finds it, also after a sleep`, { tags: ["slow"] }, async ({
    skip,
  }) => {
    skip(!existsSync(program), `the host has no ${program}`);
    const machine = durableVm();
    const line = `mkdir /tmp/tiny; cd /tmp/tiny; ${install}`;
    const { exitCode, stdout, stderr } = await machine.vm().exec(line, { timeout: 120_000 });
    expect([exitCode, stderr.match(/not (on|in) .*PATH|externally-managed/)], stdout + stderr).toEqual([
      0,
      null,
    ]);
    expect((await machine.vm().exec(call)).stdout).toBe("tiny\n");
    await machine.sleep();
    expect((await machine.vm().exec(call)).stdout).toBe("tiny\n");
  });
}

test("corepack enable puts yarn and pnpm into PATH", async ({ skip }) => {
  skip(!existsSync("/usr/bin/corepack"), "the host has no corepack");
  const { vm } = startVm();
  const { stdout, stderr } = await vm.exec("corepack enable && command -v yarn pnpm");
  expect([stdout, stderr]).toEqual(["/opt/agentos/bin/yarn\n/opt/agentos/bin/pnpm\n", ""]);
});
