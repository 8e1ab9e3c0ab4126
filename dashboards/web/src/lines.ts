// How the series of one chart are told apart: by dashes as well as by colour.
export const dashes: number[][] = [[], [6, 3], [2, 3], [8, 3, 2, 3], [1, 2], [12, 4]];
export const colours = 6; // --line0 to --line5 in style.css
