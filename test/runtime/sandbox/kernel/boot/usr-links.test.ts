import { mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { usrLinks } from "../../../../../src/runtime/sandbox/kernel/boot/host-mounts.ts";
import { temporaryFolder } from "../../../../support/temporary-folder.ts";

/** Folders and links of a distribution's root, and the links that a VM must have. */
const LAYOUTS: [
  name: string,
  folders: string[],
  links: Record<string, string>,
  expected: Record<string, string>,
][] = [
  [
    "Debian and Ubuntu",
    ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"],
    { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" },
    { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" },
  ],
  [
    "Fedora with a merged sbin",
    ["usr/bin", "usr/lib", "usr/lib64"],
    { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64", "usr/sbin": "bin" },
    { bin: "usr/bin", sbin: "usr/bin", lib: "usr/lib", lib64: "usr/lib64" },
  ],
  [
    "Arch",
    ["usr/bin", "usr/lib"],
    {
      bin: "usr/bin",
      sbin: "usr/bin",
      lib: "usr/lib",
      lib64: "usr/lib",
      "usr/sbin": "bin",
      "usr/lib64": "lib",
    },
    { bin: "usr/bin", sbin: "usr/bin", lib: "usr/lib", lib64: "usr/lib" },
  ],
  ["a root whose /usr is not merged", ["usr/bin", "bin", "sbin", "lib", "lib64"], {}, {}],
];

test.each(LAYOUTS)("a VM has the links of %s", (_name, folders, links, expected) => {
  const root = realpathSync(temporaryFolder());
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(root, name));
  expect(Object.fromEntries(usrLinks(root))).toEqual(expected);
});
