// Package s3 keeps backups at services that speak Amazon's S3: Amazon's own,
// MinIO, Ceph, and those of most who rent out storage.
//
// It promises what backup.Store asks for, at services that show an object to
// whoever lists after it was put, as Amazon's has since December 2020
// (https://aws.amazon.com/s3/consistency/). Requests are path-style, signed
// (version 4), tried again while the service fails or stays silent, and given
// up after a while. Credentials come from Options alone and are in no error.
//
// cmd may import it.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"quantrac"
	"quantrac/internal/backup"
)

// Options say where backups go.
type Options struct {
	Endpoint  string // of the service, such as https://s3.example.vn
	Region    string // "" asks the service
	Bucket    string // which must be there
	Prefix    string // of all names, "" for none
	AccessKey string
	SecretKey string
	// AllowHTTP lets requests go without TLS to other machines too; otherwise
	// only to this one.
	AllowHTTP bool
	// Patience is how long the service may stay silent before a request is made
	// again; all tries of one together take at most ten times as long. 1 min.
	Patience time.Duration
}

const (
	// maxObject is the greatest object that is taken in.
	maxObject = 1 << 30
	// readTries is how often an object is asked for that breaks off.
	readTries = 4
)

type store struct {
	client   *minio.Client
	bucket   string
	prefix   string
	patience time.Duration
}

// New returns the store. Nothing is asked of the service yet. Errors are of
// kind Invalid and name the option.
func New(o Options) (backup.Store, error) {
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https", strings.Trim(u.Path, "/") != "", u.User != nil:
		return nil, quantrac.Errorf(quantrac.Invalid, "endpoint of the S3 service: write https://HOST or https://HOST:PORT")
	case u.Scheme == "http" && !o.AllowHTTP && !loopback(u.Hostname()):
		return nil, quantrac.Errorf(quantrac.Invalid, "endpoint %s: without TLS everybody on the way reads the backups; write https://, or allow it", o.Endpoint)
	case o.AccessKey == "" || o.SecretKey == "":
		return nil, quantrac.Errorf(quantrac.Invalid, "access key and secret key of the S3 service: one is not set")
	case o.Bucket == "":
		return nil, quantrac.Errorf(quantrac.Invalid, "bucket: write s3://BUCKET or s3://BUCKET/PREFIX")
	}
	if o.Patience <= 0 {
		o.Patience = time.Minute
	}
	way, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	way.ResponseHeaderTimeout = o.Patience
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https",
		Region: o.Region, BucketLookup: minio.BucketLookupPath, Transport: way,
	})
	if err != nil {
		return nil, quantrac.Errorf(quantrac.Invalid, "endpoint %s: %w", o.Endpoint, err)
	}
	s := &store{client: client, bucket: o.Bucket, patience: o.Patience}
	if p := strings.Trim(o.Prefix, "/"); p != "" {
		s.prefix = p + "/"
	}
	return s, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// String implements backup.Store.
func (s *store) String() string {
	return strings.TrimSuffix("s3://"+s.bucket+"/"+s.prefix, "/")
}

// within bounds an operation.
func (s *store) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 10*s.patience, quantrac.Errorf(quantrac.Unavailable, "the S3 service does not answer in time"))
}

// told gives an error its kind and says of which object it is.
func (s *store) told(ctx context.Context, name string, err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	kind := quantrac.Unavailable
	if errors.As(err, &answer) {
		switch answer.Code {
		case minio.NoSuchKey:
			kind = quantrac.NotFound
		case minio.NoSuchBucket:
			return quantrac.Errorf(quantrac.Denied, "there is no bucket %s: make it first", s.bucket)
		case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch":
			kind = quantrac.Denied
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return quantrac.Errorf(kind, "%s: %w", name, err)
}

// Put implements backup.Store.
func (s *store) Put(ctx context.Context, name string, data []byte) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+name, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{
		ContentType: "application/octet-stream", SendContentMd5: true, DisableMultipart: true,
	})
	return s.told(ctx, name, err)
}

// Get implements backup.Store.
func (s *store) Get(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	var data []byte
	var err error
	for range readTries { // the library makes requests again, and does not read on after a break
		if data, err = s.get(ctx, name); err == nil || ctx.Err() != nil || minio.ToErrorResponse(err).StatusCode/100 == 4 {
			break
		}
	}
	return data, s.told(ctx, name, err)
}

func (s *store) get(ctx context.Context, name string) ([]byte, error) {
	body, info, _, err := minio.Core{Client: s.client}.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if info.Size > maxObject {
		return nil, quantrac.Errorf(quantrac.Corrupt, "an object of %d bytes", info.Size)
	}
	data := make([]byte, max(info.Size, 0))
	_, err = io.ReadFull(body, data)
	return data, err
}

// List implements backup.Store.
func (s *store) List(ctx context.Context, prefix string, each func(backup.Object) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a listing that was left early
	for o := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if o.Err != nil {
			return s.told(ctx, prefix, o.Err)
		}
		name, ok := strings.CutPrefix(o.Key, s.prefix)
		if !ok || name == "" || strings.HasSuffix(name, "/") { // what stands for a folder
			continue
		}
		if err := each(backup.Object{Name: name, Bytes: o.Size, Modified: o.LastModified}); err != nil {
			return err
		}
	}
	return s.told(ctx, prefix, ctx.Err())
}

// Delete implements backup.Store.
func (s *store) Delete(ctx context.Context, name string) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	err := s.told(ctx, name, s.client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}))
	if quantrac.KindOf(err) == quantrac.NotFound {
		return nil
	}
	return err
}
