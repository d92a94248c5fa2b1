import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { copyHostEtc } from "../../../../../src/runtime/sandbox/kernel/boot/host-etc.ts";
import { SHOWN_ETC } from "../../../../../src/runtime/sandbox/kernel/boot/host-etc-table.ts";

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "etc-"));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Lists what a VM would see of an /etc: paths, modes of files, targets of links. */
async function shown(
  make: (file: (path: string, mode?: number) => void, etc: string) => void,
): Promise<string[]> {
  const etc = scratch();
  const copy = scratch();
  const file = (path: string, mode = 0o644) => {
    mkdirSync(join(etc, dirname(path)), { recursive: true });
    writeFileSync(join(etc, path), path);
    chmodSync(join(etc, path), mode);
  };
  make(file, etc);
  await copyHostEtc(copy, etc);
  const listing = execFileSync("find", [
    copy,
    "-mindepth",
    "1",
    "-not",
    "-type",
    "d",
    "-printf",
    "%P %m %l\n",
  ]);
  return listing
    .toString()
    .trim()
    .split("\n")
    .map((line) => line.replace(/ 777 (.+)$/, " -> $1").trim())
    .filter(Boolean)
    .sort();
}

test("shows the configuration of Fedora's packages by its names", async () => {
  const files = [
    "java/java-21-openjdk/conf/security/java.security",
    "java/java.conf",
    "maven/m2.conf",
    "maven/logging/simplelogger.properties",
    "fonts/conf.d/10-hinting.conf",
    "man_db.conf",
    "php.d/20-mbstring.ini",
    "X11/fontpath.d/x",
    "chromium/chromium.conf",
    "ImageMagick-7/type.xml",
    "vimrc",
    "virc",
    "fedora-release",
    "R/Renviron",
    "nginx/mime.types",
    "dotnet/install_location",
    "matplotlibrc",
    "groovy/groovy-starter.conf",
  ];
  const found = await shown((file) => files.forEach((path) => void file(path)));
  expect(found).toEqual(files.map((path) => `${path} 644`).sort());
});

test("keeps links to /usr and /etc, and leaves out all others", async () => {
  const found = await shown((file, etc) => {
    file("fonts/fonts.conf");
    file("shadow");
    symlinkSync("/usr/share/fontconfig/conf.avail/a.conf", join(etc, "fonts/a.conf"));
    symlinkSync("../../usr/share/b.conf", join(etc, "fonts/b.conf"));
    symlinkSync("../X11/rgb.txt", join(etc, "fonts/c.conf"));
    symlinkSync("../shadow", join(etc, "fonts/d.conf"));
    symlinkSync("/root/.netrc", join(etc, "fonts/e.conf"));
    symlinkSync("../../../../root/secret", join(etc, "fonts/f.conf"));
    symlinkSync("/usr/../root/x", join(etc, "fonts/g.conf"));
  });
  expect(found).toEqual([
    "fonts/a.conf -> /usr/share/fontconfig/conf.avail/a.conf",
    "fonts/b.conf -> /usr/share/b.conf",
    "fonts/c.conf -> /etc/X11/rgb.txt",
    // The VM has no such file.
    "fonts/d.conf -> /etc/shadow",
    "fonts/fonts.conf 644",
  ]);
});

test("shows a file of 2 MiB, as LibreOffice's registry", async () => {
  const found = await shown((file, etc) => {
    file("libreoffice/registry/main.xcd");
    truncateSync(join(etc, "libreoffice/registry/main.xcd"), 2_200_000);
  });
  expect(found).toEqual(["libreoffice/registry/main.xcd 644"]);
});

test("leaves out what not every user of the host may read, and special files", async () => {
  const found = await shown((file, etc) => {
    file("fonts/fonts.conf");
    file("fonts/own.conf", 0o600);
    file("fonts/group.conf", 0o640);
    file("java/closed/inside.conf");
    chmodSync(join(etc, "java/closed"), 0o750);
    file("java/unlisted/inside.conf");
    chmodSync(join(etc, "java/unlisted"), 0o751);
    file("java/run", 0o755);
    execFileSync("mkfifo", ["-m", "644", join(etc, "java/fifo")]);
  });
  expect(found).toEqual(["fonts/fonts.conf 644", "java/run 755"]);
});

test("leaves out names of secrets in shown folders", async () => {
  const secrets = [
    "java/jmxremote.password",
    "ImageMagick-7/policy.xml",
    "java/keystore.jks",
    "java/server.key",
    "java/private/a",
    "perl/api-token",
    "perl/Credentials.pm",
    "fonts/fonts.conf~",
    "chromium.d/apikeys",
  ];
  const found = await shown((file) =>
    ["php/8.2/mods-available/tokenizer.ini", ...secrets].forEach((path) => void file(path)),
  );
  expect(found).toEqual(["php/8.2/mods-available/tokenizer.ini 644"]);
});

/** Files of /etc that hold passwords, keys, tokens or the host's accounts and networks, or may do so. */
const SECRETS = [
  ...["shadow", "gshadow", "passwd", "sudoers", "sudoers.d/a", "security/opasswd", "pam.d/common-auth"],
  ...["ssh/ssh_host_ed25519_key", "ssh/sshd_config", "ssl/private/a", "pki/tls/private/a", "ipsec.secrets"],
  ...["netplan/01.yaml", "wpa_supplicant/w.conf", "NetworkManager/system-connections/a", "krb5.keytab"],
  ...[
    "mysql/debian.cnf",
    "redis/redis.conf",
    "postgresql/15/main/pg_hba.conf",
    "postgresql-common/pg_service.conf",
  ],
  ...[
    "maven/settings.xml",
    "maven/settings-security.xml",
    "pip.conf",
    "xdg/pip/pip.conf",
    "npmrc",
    "gitconfig",
  ],
  ...[
    "wgetrc",
    "apt/auth.conf",
    "apt/sources.list",
    "yum.repos.d/a",
    "odbc.ini",
    "php/8.2/cli/php.ini",
    "gemrc",
  ],
  ...[
    "R/Renviron.site",
    "R/Rprofile.site",
    "chromium/policies/managed/a.json",
    "nginx/sites-enabled/a",
    "nginx/.htpasswd",
  ],
  ...[
    "environment",
    "default/app",
    "profile.d/tokens.sh",
    "fstab",
    "crypttab",
    "hosts",
    "cups/printers.conf",
  ],
];

test("shows none of the files that hold secrets", async () => {
  expect(await shown((file) => SECRETS.forEach((path) => void file(path)))).toEqual([]);
});

test("gives a reason for each row of the table", () => {
  for (const { reason } of SHOWN_ETC) expect(reason).toMatch(/^[A-Zm].{15,}\.$/);
  const paths = SHOWN_ETC.flatMap(({ paths }) => paths);
  expect(
    paths.filter((path, index) => paths.indexOf(path) !== index || /^[*.]$|^\*\/|\/\.\./.test(path)),
  ).toEqual([]);
});
