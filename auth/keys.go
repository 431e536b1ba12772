package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// MasterSize is the length of the master key in bytes (256 bits).
const MasterSize = 32

// Keys are the keys that the master key gives, one per purpose (HKDF-SHA-256), so that no two purposes share one.
type Keys struct{ master []byte }

// NewKeys takes the master key as the key file holds it.
func NewKeys(master []byte) (*Keys, error) {
	if len(master) != MasterSize {
		return nil, fmt.Errorf("master key is %d bytes long, not %d", len(master), MasterSize)
	}
	return &Keys{append([]byte(nil), master...)}, nil
}

// Derive gives the n bytes that belong to a purpose.
func (k *Keys) Derive(purpose string, n int) []byte {
	b, err := hkdf.Key(sha256.New, k.master, nil, "doorward "+purpose, n)
	if err != nil {
		panic("auth: HKDF gives up to 8160 bytes and we ask for a constant few: " + err.Error())
	}
	return b
}

// MAC is HMAC-SHA-256 under the purpose's key over the parts, each with its length before it, so that no two lists of parts are alike.
func (k *Keys) MAC(purpose string, parts ...[]byte) (mac [sha256.Size]byte) {
	h := hmac.New(sha256.New, k.Derive(purpose, sha256.Size))
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	h.Sum(mac[:0])
	return mac
}

// sealVersion is the first byte of everything sealed: AES-256-GCM, random 96-bit nonce, purpose and account as additional data.
const sealVersion = 1

// Seal encrypts plain for a purpose and an account; it opens only for the same two, so that nobody can swap two accounts' secrets.
func (k *Keys) Seal(purpose string, account AccountID, plain []byte) []byte {
	g := k.gcm(purpose)
	out := make([]byte, 1+g.NonceSize(), 1+g.NonceSize()+len(plain)+g.Overhead())
	out[0] = sealVersion
	if _, err := rand.Read(out[1:]); err != nil {
		panic("auth: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	return g.Seal(out, out[1:], plain, []byte(purpose+"\x00"+string(account)))
}

// ErrSealed says that something sealed does not open: another master key, another account, or damage.
var ErrSealed = errors.New("auth: sealed under another key, for another account, or damaged")

// Open decrypts what Seal made for the same purpose and account.
func (k *Keys) Open(purpose string, account AccountID, sealed []byte) ([]byte, error) {
	g := k.gcm(purpose)
	if len(sealed) < 1+g.NonceSize()+g.Overhead() || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	plain, err := g.Open(nil, sealed[1:1+g.NonceSize()], sealed[1+g.NonceSize():], []byte(purpose+"\x00"+string(account)))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

func (k *Keys) gcm(purpose string) cipher.AEAD {
	block, err := aes.NewCipher(k.Derive("seal "+purpose, 32))
	if err != nil {
		panic("auth: AES takes a key of 32 bytes: " + err.Error())
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic("auth: GCM takes AES: " + err.Error())
	}
	return g
}
