declare module '*.css';
declare const OUTLINE_URL: string; // of the map's base layer, set by the build
declare const SHELL: string[]; // files of the page's shell, set by the build
declare const BUILD: string; // names this build
