/** Files of the host's /etc that VMs see. A path may have `*` within a name, and stands for everything below it. */
interface ShownFiles {
  paths: readonly string[];
  /** Why programs need the files, and which neighbours stay hidden. */
  reason: string;
}

/**
 * The allow list. A row names configuration that a distribution ships and that no one has a reason to write a secret
 * into. Everything else stays hidden: accounts and keys (`shadow`, `sudoers`, `ssh`, `ssl/private`, `pam.d`), networks
 * (`netplan`, `wpa_supplicant`, `krb5.conf`), services (`mysql`, `redis`, `cups`), and clients whose file may hold a
 * password or token (`pip.conf`, `npmrc`, `gitconfig`, `wgetrc`, `apt/auth.conf`, `odbc.ini`).
 */
export const SHOWN_ETC: readonly ShownFiles[] = [
  {
    paths: ["java*", ".java/.systemPrefs", "ant.conf", "ant.d"],
    reason: "The JDK's own folders are links here. Without java.security no class loads.",
  },
  {
    paths: ["groovy/groovy-starter.conf", "groovy/jansi.conf", "dotnet"],
    reason: "The class path of groovy, and the folder of the runtime for programs of .NET.",
  },
  {
    paths: ["maven/m2.conf", "maven/logging"],
    reason: "mvn reads its class path here. settings.xml may hold a repository's password: hidden.",
  },
  {
    paths: ["fonts", "X11/fontpath.d", "X11/fonts"],
    reason: "Without fonts.conf fontconfig finds no font by its family.",
  },
  {
    paths: ["chromium.d", "chromium/master_preferences", "chromium/initial_preferences", "chromium/*.conf"],
    reason: "The start script sources these flags. Policies may hold an enrollment token: hidden.",
  },
  {
    paths: ["firefox/defaults", "firefox/pref", "firefox-esr/*.js"],
    reason: "The distribution's defaults are links here. Policies stay hidden.",
  },
  {
    paths: ["X11/app-defaults", "X11/cursors", "X11/locale", "X11/rgb.txt", "X11/xkb", "X11/Xresources"],
    reason: "Toolkits and Xvfb read colours, keyboards and looks. xdm and its keys stay hidden.",
  },
  {
    paths: ["gtk-*", "glvnd", "OpenCL", "vulkan", "drirc", "vdpau_wrapper.cfg"],
    reason: "Toolkits and graphics loaders find their drivers here.",
  },
  { paths: ["alsa", "pulse/client.conf", "openal"], reason: "Sound libraries warn or fail without it." },
  {
    paths: ["xdg/menus", "xdg/user-dirs.*", "xdg/mimeapps.list", "mailcap", "mailcap.order", "magic*"],
    reason: "Types of files and what opens them. Other folders of xdg hold settings of pip and services.",
  },
  {
    paths: ["manpath.config", "man_db.conf", "man.conf", "groff", "papersize", "paperspecs", "libpaper.d"],
    reason: "man finds pages by these, groff its macros and paper.",
  },
  {
    paths: ["python*", "perl", "php.d", "php/*/mods-available", "php/*/cli/conf.d"],
    reason: "Start files and modules of interpreters. php.ini may hold a password: hidden.",
  },
  {
    paths: ["R/Makeconf", "R/Renviron", "R/javaconf", "R/ldpaths", "R/repositories", "octave*", "julia"],
    reason: "R's own folder has links here. Renviron.site and Rprofile.site may hold tokens: hidden.",
  },
  {
    paths: ["mono/config", "mono/*/machine.config", "mono/*/settings.map", "mono/browscap.ini"],
    reason: "mono loads no class without machine.config.",
  },
  {
    paths: ["matplotlibrc", "libreoffice"],
    reason: "Both end without their defaults, which a distribution keeps here.",
  },
  { paths: ["luarocks", "sbclrc", "common-lisp", "emacs", "texmf"], reason: "Start files of languages." },
  {
    paths: ["ImageMagick-*", "GraphicsMagick*", "ghostscript"],
    reason: "Policies, fonts and formats of converters.",
  },
  {
    paths: [
      "vim",
      "vimrc",
      "virc",
      "nanorc",
      "screenrc",
      "tmux.conf",
      "inputrc",
      "DIR_COLORS*",
      "lynx",
      "w3m",
    ],
    reason: "Defaults of terminals, editors and browsers, which the packages link or read.",
  },
  {
    paths: ["gdb", "gprofng.rc", "debuginfod", "ltrace.conf", "tidy.conf", "mke2fs.conf", "xattr.conf"],
    reason: "Defaults of tools for developers.",
  },
  {
    paths: ["ssl/cert.pem", "pki/tls/cert.pem", "pki/java/cacerts", "crypto-policies"],
    reason: "OpenSSL and Java look for the authorities here: links to the mounted certificates.",
  },
  {
    paths: ["ld.so.conf", "ld.so.conf.d", "terminfo", "mime.types", "protocols", "services"],
    reason: "Public tables of the C library and of curses.",
  },
  {
    paths: ["locale.alias", "gai.conf", "rpc", "networks", "netconfig", "ethertypes", "iproute2", "libnl-3"],
    reason: "Names that the C library and network tools translate.",
  },
  {
    paths: ["sgml", "xml", "dictionaries-common", "odbcinst.ini"],
    reason: "Catalogs of installed data and drivers.",
  },
  {
    paths: ["nginx/mime.types", "postgresql-common/supported_versions"],
    reason: "A server with a configuration of its own includes these. Sites and passwords stay hidden.",
  },
  {
    paths: ["debian_version", "*-release", "dpkg/origins", "dpkg/shlibs.*"],
    reason: "Programs tell the distribution by these. Docker and CI images show them too.",
  },
];

/**
 * Names that are hidden even in a folder of the table: an administrator may have put a secret there. ImageMagick's policies
 * have a place for a shared secret, and a VM has no need of their restrictions.
 */
export const SECRET_NAME =
  /^policy\.xml$|passw|secret|private|credential|token(?!iz)|apikey|keystore|shadow|\.(key|pem|p12|pfx|jks|htpasswd|netrc)$|~$/i;
