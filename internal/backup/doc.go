// Package backup ships folders of files to a place elsewhere, piece by piece,
// and brings them back.
//
// # What it promises
//
//   - A backup is there when its manifest is, and the manifest is written last,
//     once every piece that it names has been taken. What was cut short at any
//     moment leaves pieces that the next backup need not ship again.
//   - Pieces are named by the SHA-256 of their content, so that backups share
//     what has not changed, and damage is found wherever a piece is read.
//   - Restore gives the bytes that were there or an error. The folder gets its
//     name once all of it is checked and durable.
//   - Prune deletes no piece that a backup names, whether finished or under
//     way: see claim.go for how it and Create keep out of each other's way.
//
// Files and folders that it makes are for their owner alone (0600, 0700):
// backups hold what the folder held, hashes of passwords among it. They are not
// encrypted; that is the disk's or the service's matter.
//
// # How to use it
//
//	t := backup.New(backup.Folder(vfs.OS(), "/mnt/disk/backups"), backup.Options{})
//	made, shipped, err := t.Create(ctx, backup.Source{FS: vfs.OS(), Dir: dir}, backup.Info{Name: "first"})
//	made, err = t.Restore(ctx, vfs.OS(), "first", dir)
//
// What lies in the place is in FORMAT.md. It knows nothing of what is in the
// files. Package s3 keeps backups at S3-compatible services; cmd wires both.
package backup
