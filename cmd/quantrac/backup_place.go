package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"quantrac"
	"quantrac/internal/backup"
	"quantrac/internal/backup/s3"
	"quantrac/internal/vfs"
)

// backupPlace is where backups are kept.
type backupPlace struct {
	To        string `name:"to" aliases:"from" placeholder:"PLACE" env:"QUANTRAC_BACKUP_TO" help:"Where backups are kept: a folder, which must be there, or s3://BUCKET/PREFIX. One place for one service."`
	Endpoint  string `name:"s3-endpoint" placeholder:"URL" env:"QUANTRAC_BACKUP_S3_ENDPOINT" help:"S3-compatible service, such as https://s3.example.vn."`
	Region    string `name:"s3-region" env:"QUANTRAC_BACKUP_S3_REGION" help:"Its region; asked for by default."`
	AccessKey string `name:"s3-access-key" env:"QUANTRAC_BACKUP_S3_ACCESS_KEY" help:"Access key there."`
	SecretKey string `name:"s3-secret-key" env:"QUANTRAC_BACKUP_S3_SECRET_KEY" help:"Secret key there; in the environment others do not see it."`
	AllowHTTP bool   `name:"s3-http" env:"QUANTRAC_BACKUP_S3_HTTP" help:"Send backups to other machines without TLS."`
}

// bucket returns the bucket and prefix of a place at an S3 service.
func (p *backupPlace) bucket() (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(p.To, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	return bucket, prefix, ok
}

// store opens the place; nothing is asked of it yet.
func (p *backupPlace) store() (backup.Store, error) {
	bucket, prefix, ok := p.bucket()
	if ok {
		return s3.New(s3.Options{
			Endpoint: p.Endpoint, Region: p.Region, Bucket: bucket, Prefix: prefix,
			AccessKey: p.AccessKey, SecretKey: p.SecretKey, AllowHTTP: p.AllowHTTP,
		})
	}
	if p.To == "" {
		return nil, quantrac.Errorf(quantrac.Invalid, "name the place of the backups: a folder, or s3://BUCKET/PREFIX")
	}
	if u, err := url.Parse(p.To); err == nil && u.Host != "" {
		return nil, quantrac.Errorf(quantrac.Invalid, "%s is neither a folder nor s3://BUCKET/PREFIX", u.Redacted())
	}
	return backup.Folder(vfs.OS(), p.To), nil
}

// target opens the place, with what is told of progress.
func (p *backupPlace) target(progress func(backup.Progress)) (*backup.Target, error) {
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	return backup.New(store, backup.Options{Progress: progress}), nil
}

// outside refuses a place inside the folder that is backed up: it would be lost
// with it.
func (p *backupPlace) outside(data string) error {
	if _, _, ok := p.bucket(); ok || p.To == "" || data == "" {
		return nil
	}
	place, err := filepath.Abs(p.To)
	if err != nil {
		return err
	}
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	if rel, err := filepath.Rel(data, place); err == nil && filepath.IsLocal(rel) {
		return quantrac.Errorf(quantrac.Invalid, "%s lies in the data folder, and would be lost with it", p.To)
	}
	return nil
}

// besides says whether the place is on the disk of the data folder, where both
// are there.
func (p *backupPlace) besides(data string) bool {
	if _, _, ok := p.bucket(); ok || p.To == "" {
		return false
	}
	place, err := os.Stat(p.To)
	if err != nil {
		return false
	}
	folder, err := os.Stat(data)
	if err != nil {
		return false
	}
	a, aok := place.Sys().(*syscall.Stat_t)
	b, bok := folder.Sys().(*syscall.Stat_t)
	return aok && bok && a.Dev == b.Dev
}

// backupKeep says which backups stay when others are pruned.
type backupKeep struct {
	Last    int `name:"keep-last" placeholder:"N" env:"QUANTRAC_BACKUP_KEEP_LAST" help:"Keep the N newest backups."`
	Daily   int `name:"keep-daily" placeholder:"N" env:"QUANTRAC_BACKUP_KEEP_DAILY" help:"Keep the newest of each of the last N days that have any."`
	Weekly  int `name:"keep-weekly" placeholder:"N" env:"QUANTRAC_BACKUP_KEEP_WEEKLY" help:"Keep the newest of each of the last N weeks that have any."`
	Monthly int `name:"keep-monthly" placeholder:"N" env:"QUANTRAC_BACKUP_KEEP_MONTHLY" help:"Keep the newest of each of the last N months that have any."`
}

func (k *backupKeep) keep() backup.Keep {
	return backup.Keep{Last: k.Last, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly}
}
