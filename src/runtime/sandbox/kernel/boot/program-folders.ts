import { findTool } from "../tools.ts";

/**
 * Folders without which a program of the host does not start, unless its configuration names others. Distributions make
 * them when the package is installed or the machine boots.
 */
const FOLDERS: Record<string, readonly string[]> = {
  nginx: ["var/lib/nginx/tmp", "var/log/nginx"],
  // The sockets of PostgreSQL and MariaDB, for server and client.
  psql: ["run/postgresql"],
  mariadb: ["run/mysqld", "run/mariadb", "var/lib/mysql"],
  mysql: ["run/mysqld", "var/lib/mysql"],
  // Sessions of PHP, on Debian and Fedora.
  php: ["var/lib/php/sessions", "var/lib/php/session"],
};

/** Paths, relative to the root, for the programs that the host has. */
export function programFolders(): string[] {
  return Object.entries(FOLDERS).flatMap(([program, folders]) => (findTool(program) ? folders : []));
}
